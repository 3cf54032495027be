/** Which buttons of a template open a flow: only Meta knows, and whoever sends it need not. */
import type { Graph } from "./graph.ts";
import type { MetaPlace } from "./store.ts";

/** Meta counts such questions by the account and the hour: 200 is the least that one may ask. */
const KEPT_MS = 3_600_000;
const FAILED_MS = 300_000;
const TEMPLATES = 1_000;
const TIMEOUT_MS = 5_000;

type Kept = { buttons: Promise<string[]>; until: number };

/** Remembers for an hour what Meta says of templates; so long may a button that is new go without its token. */
export class TemplateBook {
  readonly #kept = new Map<string, Kept>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * The places, from "0", of the buttons that open a flow, asked with the number's own token and remembered for its
   * company. Empty when Meta does not say: nothing is worse then than without having asked.
   */
  async flowButtons(
    graph: Pick<Graph, "call">,
    companyNo: number,
    place: MetaPlace,
    { name, language }: { name: string; language: string },
  ): Promise<string[]> {
    const key = JSON.stringify([companyNo, place.wabaId, name, language]);
    const kept = this.#kept.get(key);
    if (kept && kept.until > this.#now()) return kept.buttons;
    const asked: Kept = {
      until: this.#now() + KEPT_MS,
      buttons: ask(graph, place, name, language).catch(() => {
        asked.until = this.#now() + FAILED_MS;
        return [];
      }),
    };
    this.#kept.delete(key);
    this.#kept.set(key, asked);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > TEMPLATES && oldest !== undefined) this.#kept.delete(oldest);
    return asked.buttons;
  }
}

async function ask(
  graph: Pick<Graph, "call">,
  place: MetaPlace,
  name: string,
  language: string,
): Promise<string[]> {
  const query = new URLSearchParams({ name, fields: "name,language,components", limit: "100" });
  const path = `${place.wabaId}/message_templates?${query.toString()}`;
  const { data } = await graph.call("GET", path, place, undefined, TIMEOUT_MS);
  const found = listOf(data).find((one) => one["name"] === name && one["language"] === language);
  const blocks = listOf(found?.["components"]).filter(({ type }) => isWord(type, "buttons"));
  const buttons = blocks.flatMap((block) => listOf(block["buttons"]));
  return buttons.flatMap(({ type }, index) => (isWord(type, "flow") ? [String(index)] : []));
}

const isWord = (value: unknown, word: string): boolean => String(value).toLowerCase() === word;

const listOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.map((one) => Object(one) as Record<string, unknown>) : [];

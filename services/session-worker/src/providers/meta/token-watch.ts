/** Asks Meta when a number's token ends, and tells it in time. */
import { FencedError } from "@manyline/db";
import { tokenEndDays, untilNextLookMs } from "../../domain/token-end.ts";
import type { LoginHandlers, NumberRef } from "../provider.ts";
import type { Graph } from "./graph.ts";
import type { Steps } from "./steps.ts";
import type { MetaPlace, MetaStore } from "./store.ts";

const DAY_MS = 86_400_000;
const AGAIN_MS = 3_600_000;
const QUIET_MS = 30_000;
/** The looks of many numbers are not all at the same time. */
const JITTER_MS = 60_000;

export type TokenWatchParts = {
  number: NumberRef;
  place: MetaPlace;
  graph: Graph;
  store: MetaStore;
  steps: Steps;
  handlers: Pick<LoginHandlers, "isQuiet" | "onFenced">;
};

/** Looks now, and from then on once a day and whenever a threshold is passed. Returns what ends it. */
export function watchToken(parts: TokenWatchParts): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;
  const look = async (): Promise<void> => {
    const inMs = await lookOnce(parts);
    if (isOver || inMs === undefined) return;
    timer = setTimeout(() => void look(), inMs + Math.random() * JITTER_MS);
    timer.unref();
  };
  void look();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Answers in how long to look again; undefined: never. */
async function lookOnce(parts: TokenWatchParts): Promise<number | undefined> {
  const { number, place, graph, store, steps, handlers } = parts;
  try {
    const path = `debug_token?input_token=${encodeURIComponent(place.token)}`;
    const data = Object((await graph.call("GET", path, place))["data"]) as Record<string, unknown>;
    const endsAt = Number(data["expires_at"] ?? 0) * 1_000;
    if (!Number.isFinite(endsAt) || endsAt <= 0) return DAY_MS;
    const [end, now] = [new Date(endsAt), new Date()];
    const days = tokenEndDays(end, now);
    if (days === undefined) return untilNextLookMs(end, now);
    if (handlers.isQuiet()) return QUIET_MS;
    if (await store.tellTokenEnd(number, end, days)) steps.note("token_end");
    return untilNextLookMs(end, now);
  } catch (error) {
    if (error instanceof FencedError) {
      handlers.onFenced();
      return undefined;
    }
    steps.note("token_end", { error });
    return AGAIN_MS;
  }
}

/** The Meta provider: a number of the Cloud API, with a token of its own. What comes in, comes by webhooks. */
import type { Provider } from "../provider.ts";
import { checkMetaNumber } from "./check.ts";
import { fetchMetaFile } from "./files.ts";
import { flowKeyOf } from "./flow-keys.ts";
import { type MetaParts, openMetaLogin } from "./login.ts";
import { TemplateBook } from "./templates.ts";

export { Graph } from "./graph.ts";
export { createMetaStore } from "./store.ts";

export function createMetaProvider(parts: MetaParts): Provider {
  const templates = new TemplateBook();
  return {
    link: () => {
      throw new Error("a number of the Cloud API is not linked by a phone");
    },
    login: (number, handlers) => openMetaLogin(number, { ...parts, templates }, handlers),
    fetchFile: (source, number) => fetchMetaFile(source, number, parts),
    check: (number) => checkMetaNumber(number, parts),
    flowKey: (number, isUpload) => flowKeyOf(number, isUpload, parts.graph, parts.store),
    tell: () => {
      throw new Error("what comes to a number of the Cloud API is in no journal");
    },
  };
}

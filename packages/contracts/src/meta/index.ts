/** Webhooks of the Meta Cloud API, read into inputs of our events. */
export { parseMetaBody } from "./json.ts";
export { isOvergrown, type MetaHead, normaliseMeta, readMetaHead } from "./normalise.ts";
export { META_COLUMNS, metaLine, metaRows } from "./table.ts";
export type * from "./types.ts";

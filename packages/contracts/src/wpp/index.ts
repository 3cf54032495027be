/** Webhooks of the two WPP servers, read into inputs of our events. */
export { normaliseWppConnect } from "./connect.ts";
export { wppDedupeKey } from "./dedupe.ts";
export { maskWppKey, newWppSubOrgId, STALE_WPP_SESSION } from "./keys.ts";
export { readWppQr } from "./kinds.ts";
export { normaliseWppPlatform } from "./platform.ts";
export type { WppPlatformOptions } from "./platform.ts";
export { WPP_COLUMNS, wppLine } from "./table.ts";
export type * from "./types.ts";

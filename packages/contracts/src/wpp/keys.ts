/** What the platform knows a number by, and what people are shown of it. */
import { randomUUID } from "node:crypto";

/** Rows of an earlier time have this for a session; such a session has never existed. */
export const STALE_WPP_SESSION = "client_system";

/** An organisation of its own for a further number: the platform gives each organisation one key, for ever. */
export function newWppSubOrgId(companyId: string): string {
  return `${companyId}__wpp__${randomUUID().slice(0, 8)}`;
}

/** Enough of a key to tell two apart: the first 6 and the last 4 characters; of a short one nothing. */
export function maskWppKey(apiKey: string): string {
  return apiKey.length < 12 ? "***" : `${apiKey.slice(0, 6)}••••••${apiKey.slice(-4)}`;
}

/** What a token may do. `admin` may do everything for every company; the others are for one company. */
export const SCOPES = ["admin", "read", "pair", "send", "manage"] as const;
export type Scope = (typeof SCOPES)[number];
/** A company's first token. */
export const COMPANY_SCOPES: readonly Scope[] = ["read", "pair", "send", "manage"];
/** What the cookie of a pairing link may do, for one number. */
export const PAIRING_LINK_SCOPES: readonly Scope[] = ["pair"];
/** Life of a pairing link until its one exchange. */
export const PAIRING_LINK_MS = 10 * 60_000;
/** Life of the cookie it is exchanged for. */
export const PAIRING_COOKIE_MS = 60 * 60_000;

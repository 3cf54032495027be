import type { Scope } from "@manyline/contracts";
import type { Generated, GeneratedAlways } from "kysely";

/**
 * API tokens, pairing links and the cookies they are exchanged for; only their SHA-256 is stored. No
 * company: an admin token. `is_lasting`: a link of a mail, which may be exchanged again until its number is linked,
 * ten times at most (`uses`).
 *
 * Writer: gateway; notifier for lasting links, by functions.
 * Retention: 30 days after they expired or were revoked; a number's or company's go with it.
 */
export type ApiTokensTable = {
  tokenHash: Buffer;
  tokenId: string;
  companyNo: number | null;
  numberNo: number | null;
  kind: "api" | "link" | "cookie";
  name: string;
  scopes: Scope[];
  expiresAt: Date | null;
  usedAt: Date | null;
  revokedAt: Date | null;
  createdAt: Generated<Date>;
  isLasting: Generated<boolean>;
  uses: Generated<number>;
};

/**
 * Every action of a person: append-only (no role may update or delete), a hash chain per company, and one
 * (chain 0) for what concerns no single company.
 *
 * Writer: gateway; the owner of a number for what it does in a person's name.
 * Retention: for ever, also after the company is deleted. An operator who must remove old entries removes
 * the oldest ones as database owner: a chain is checked from its oldest remaining entry.
 */
export type AuditLogTable = {
  chain: GeneratedAlways<number>;
  seq: number;
  companyNo: number | null;
  at: Date;
  actor: string;
  action: string;
  target: string | null;
  requestId: string | null;
  details: Generated<Record<string, unknown>>;
  prevHash: Buffer;
  hash: Buffer;
};

/**
 * Who does a piece of housekeeping, so that one does it at a time.
 *
 * Writer: workers; gateways (platform), for the bulk jobs.
 * Retention: for ever; one row per task.
 */
export type HousekeepingTable = {
  name: string;
  owner: string;
  expiresAt: Date;
  ranAt: Generated<Date>;
};

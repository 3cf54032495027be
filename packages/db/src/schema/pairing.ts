import type { PairingMethod, PairingOutcome, PairingState } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * One try to link a number. One is live (`ended_at` null) per number, by a partial unique index. The QR or
 * code is sealed in `secret` while it can be used and erased at the end, at the latest.
 *
 * Writer: the owner, fenced. Expired secrets of a crashed owner are erased by housekeeping.
 * Retention: 30 days after the end.
 */
export type PairingAttemptsTable = {
  companyNo: number;
  numberNo: number;
  attemptId: string;
  method: PairingMethod;
  state: PairingState;
  outcome: PairingOutcome | null;
  errorCode: string | null;
  phone: string | null;
  k: Generated<number>;
  max: number;
  switched: Generated<boolean>;
  codesLeft: number | null;
  epoch: number;
  secretKind: "qr" | "code" | null;
  secret: Buffer | null;
  startedAt: Generated<Date>;
  issuedAt: Date | null;
  expiresAt: Date | null;
  endedAt: Date | null;
};

/**
 * Until when somebody is looking at a number's pairing. An attempt that nobody watches ends.
 *
 * Writer: gateway, at any authorised read of status or QR, at most every 10 s.
 * Retention: 1 day after it ran out.
 */
export type PairingWatchTable = { companyNo: number; numberNo: number; until: Date };

/**
 * The codes a company asked for in the rolling hour, and its cooldown. `end_told`: the end of the last
 * cooldown was announced.
 *
 * Writer: the owner, only by `pairing_code_limit`.
 * Retention: 1 day after the last code or cooldown.
 */
export type WhatsappRateLimitsTable = {
  companyNo: number;
  spentAt: Generated<Date[]>;
  perHour: number;
  windowMs: number;
  blockedUntil: Date | null;
  endTold: Generated<boolean>;
  updatedAt: Generated<Date>;
};

/**
 * The codes that were asked for a phone, across companies. Phones are keyed hashes; no company is named.
 *
 * Writer: the owner, only by `pairing_code_limit`.
 * Retention: 1 day after the last code.
 */
export type PairingPhoneLimitsTable = {
  phoneHash: Buffer;
  spentAt: Generated<Date[]>;
  updatedAt: Generated<Date>;
};

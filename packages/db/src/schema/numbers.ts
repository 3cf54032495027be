import type {
  DesiredState,
  Provider,
  Restriction,
  SessionStatus,
  WppPlatform,
} from "@manyline/contracts";
import type { Generated, GeneratedAlways } from "kysely";

/**
 * The WhatsApp numbers of a company; exactly one is primary. `updated_at` moves with what a person sets,
 * not with the status (`since` tells that). `status_epoch`: the epoch of the fence under which the status was
 * written; "connected" counts only while it is the epoch of the shard's lease. 0: no owner wrote it.
 *
 * Of a Meta number the pair of `waba_id` and `phone_number_id` is unique among active ones; `is_active` is true
 * once Meta has confirmed that its token (in `secrets`, sealed) sees it there. `token_hash` tells two tokens apart;
 * `has_common_token`: it is the one of the gateway's environment. `settings` has what Meta told of it (`MetaFacts`), and
 * which end of its token was told (`tokenEnd`).
 *
 * Of a WPP number `settings` has `wppAccountNumber` (the platform's session), `wppSubOrgId` (the organisation it was
 * made under, if that is not its company), `wppNextSubOrgId` (the one a new client was asked for under) and `wppKeyHash`; session and key are unique among all numbers. Its key is
 * in `secrets`. `webhook_key` stands in the address of its webhooks. `wpp_server` is the dialect it speaks.
 *
 * Writer, by column: gateway name, phone_e164, is_primary, desired_state, waba_id, phone_number_id, secrets,
 * token_hash, has_common_token; the owner, fenced: status, reason, since, until, last_connected_at, restriction, is_active, settings, the
 * secrets it obtains, token_hash, and phone_e164 when a phone links; a trigger status_epoch, with each status.
 * Retention: until the number or its company is deleted, with credentials, attempts and commands.
 */
export type NumbersTable = {
  companyNo: number;
  numberNo: GeneratedAlways<number>;
  numberId: string;
  provider: Provider;
  name: string | null;
  phoneE164: string | null;
  isPrimary: Generated<boolean>;
  desiredState: Generated<DesiredState>;
  status: Generated<SessionStatus>;
  reason: Generated<string>;
  since: Generated<Date>;
  until: Date | null;
  lastConnectedAt: Date | null;
  restriction: Restriction | null;
  statusEpoch: Generated<number>;
  wabaId: string | null;
  phoneNumberId: string | null;
  isActive: Generated<boolean>;
  secrets: Buffer | null;
  webhookKey: Generated<string>;
  wppServer: Generated<WppPlatform>;
  tokenHash: Buffer | null;
  hasCommonToken: Generated<boolean>;
  settings: Generated<Record<string, unknown>>;
  createdAt: Generated<Date>;
  updatedAt: Generated<Date>;
};

/**
 * The fence: which epoch may write for a number. Every write of an owner locks the row FOR SHARE with its
 * epoch; a new owner raises the epoch before it reads anything.
 *
 * Writer: gateway inserts it with the number, epoch 0; the owner raises it.
 * Retention: as long as the number.
 */
export type NumberFenceTable = {
  companyNo: number;
  numberNo: number;
  epoch: Generated<number>;
  login: Generated<number>;
};

import {
  type ErrorCode,
  ManylineError,
  type PairingMethod,
  type PairingOutcome,
  type PairingState,
} from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { errorCode } from "../errors.ts";
import { type Executor, firstRow, rows, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";

/** One try to link a number. Its QR or code is not in here: see `readAttemptSecret`. */
export type AttemptRow = {
  attemptId: string;
  companyNo: number;
  numberNo: number;
  method: PairingMethod;
  state: PairingState;
  outcome: PairingOutcome | null;
  errorCode: ErrorCode | null;
  phone: string | null;
  /** Which QR is shown, from 1; 0 before the first. */
  k: number;
  max: number;
  /** The code follows unscanned QRs. */
  switched: boolean;
  codesLeft: number | null;
  startedAt: Date;
  issuedAt: Date | null;
  expiresAt: Date | null;
  endedAt: Date | null;
  epoch: number;
  /** A QR or code is stored; it may have expired. */
  hasSecret: boolean;
};

export type AttemptInput = {
  attemptId: string;
  method: PairingMethod;
  state: Exclude<PairingState, "ended">;
  phone: string | null;
  max: number;
};

export type AttemptSecret = { kind: "qr" | "code"; value: string };

export type AttemptPatch = {
  method?: PairingMethod;
  /** `ended` sets `endedAt` as well. */
  state?: PairingState;
  outcome?: PairingOutcome | null;
  errorCode?: ErrorCode | null;
  k?: number;
  phone?: string | null;
  switched?: boolean;
  codesLeft?: number;
  issuedAt?: Date | null;
  expiresAt?: Date | null;
  endedAt?: Date;
  /** null erases it; ending an attempt always does. */
  secret?: AttemptSecret | null;
};

const columns = sql.raw(
  [
    "a.attempt_id, a.company_no, a.number_no, a.method, a.state, a.outcome, a.error_code, a.phone, a.k, a.max",
    "a.switched, a.codes_left, a.started_at, a.issued_at, a.expires_at, a.ended_at, a.epoch",
    "a.secret is not null as has_secret",
  ].join(", "),
);

/** The same fields as one JSON object, for reading an attempt beside other things; needs `pairing_attempts a`. */
export const attemptFields =
  sql.raw(`json_build_object('attemptId', a.attempt_id, 'companyNo', a.company_no,
  'numberNo', a.number_no, 'method', a.method, 'state', a.state, 'outcome', a.outcome,
  'errorCode', a.error_code, 'phone', a.phone, 'k', a.k, 'max', a.max, 'switched', a.switched,
  'codesLeft', a.codes_left, 'startedAt', a.started_at, 'issuedAt', a.issued_at,
  'expiresAt', a.expires_at, 'endedAt', a.ended_at, 'epoch', a.epoch,
  'hasSecret', a.secret is not null)`);

/**
 * Starts an attempt, in a fenced transaction.
 * @throws ManylineError REQUEST_IN_PROGRESS: the number has a live one
 */
export async function insertAttempt(
  tx: Tx,
  fence: Fence,
  input: AttemptInput,
): Promise<AttemptRow> {
  try {
    const row = await firstRow(
      tx,
      sql<AttemptRow>`
        insert into pairing_attempts as a (company_no, number_no, attempt_id, method, state, phone, max, epoch)
        values (${fence.companyNo}, ${fence.numberNo}, ${input.attemptId}, ${input.method}, ${input.state},
          ${input.phone}, ${input.max}, ${fence.epoch})
        returning ${columns}`,
    );
    if (row === undefined) throw new Error("an attempt was not written");
    return row;
  } catch (error) {
    if (errorCode(error) === "23505") {
      throw new ManylineError("REQUEST_IN_PROGRESS", {}, { cause: error });
    }
    throw error;
  }
}

/**
 * Changes a live attempt of this epoch, in a fenced transaction. Undefined when it has ended or is of
 * another epoch: then nothing was written.
 */
export async function updateAttempt(
  tx: Tx,
  keyring: Keyring,
  fence: Fence,
  attemptId: string,
  patch: AttemptPatch,
): Promise<AttemptRow | undefined> {
  const isEnding = patch.state === "ended" || patch.endedAt !== undefined;
  const secret = isEnding ? null : patch.secret;
  const sealed =
    secret === undefined || secret === null
      ? null
      : (await keyring.sealer(tx, fence.companyNo)).seal(
          secretContext(fence.numberNo, secret.kind, attemptId),
          Buffer.from(secret.value),
        );
  const sets = [
    ...(patch.method === undefined ? [] : [sql`method = ${patch.method}`]),
    ...(isEnding
      ? [
          sql`state = 'ended'`,
          sql`ended_at = coalesce(${patch.endedAt ?? null}::timestamptz, clock_timestamp())`,
        ]
      : patch.state === undefined
        ? []
        : [sql`state = ${patch.state}`]),
    ...(patch.outcome === undefined ? [] : [sql`outcome = ${patch.outcome}`]),
    ...(patch.errorCode === undefined ? [] : [sql`error_code = ${patch.errorCode}`]),
    ...(patch.k === undefined ? [] : [sql`k = ${patch.k}`]),
    ...(patch.phone === undefined ? [] : [sql`phone = ${patch.phone}`]),
    ...(patch.switched === undefined ? [] : [sql`switched = ${patch.switched}`]),
    ...(patch.codesLeft === undefined ? [] : [sql`codes_left = ${patch.codesLeft}`]),
    ...(patch.issuedAt === undefined ? [] : [sql`issued_at = ${patch.issuedAt}`]),
    ...(patch.expiresAt === undefined ? [] : [sql`expires_at = ${patch.expiresAt}`]),
    ...(secret === undefined
      ? []
      : [sql`secret = ${sealed}`, sql`secret_kind = ${secret?.kind ?? null}`]),
  ];
  if (sets.length === 0) return readAttempt(tx, attemptId);
  return firstRow(
    tx,
    sql<AttemptRow>`update pairing_attempts a set ${sql.join(sets)}
      where a.company_no = ${fence.companyNo} and a.number_no = ${fence.numberNo}
        and a.attempt_id = ${attemptId} and a.epoch = ${fence.epoch} and a.ended_at is null
      returning ${columns}`,
  );
}

function secretContext(numberNo: number, kind: "qr" | "code", attemptId: string) {
  return { numberNo, kind: `pairing-${kind}`, key: attemptId };
}

export async function readAttempt(
  executor: Executor,
  attemptId: string,
): Promise<AttemptRow | undefined> {
  return firstRow(
    executor,
    sql<AttemptRow>`select ${columns} from pairing_attempts a where a.attempt_id = ${attemptId}`,
  );
}

/** The attempt of the number that has not ended, if any. */
export async function liveAttempt(
  executor: Executor,
  companyNo: number,
  numberNo: number,
): Promise<AttemptRow | undefined> {
  return firstRow(
    executor,
    sql<AttemptRow>`select ${columns} from pairing_attempts a
      where a.company_no = ${companyNo} and a.number_no = ${numberNo} and a.ended_at is null`,
  );
}

/** The QR or code of an attempt, only while it can be used. Never log it. */
export async function readAttemptSecret(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  attemptId: string,
): Promise<(AttemptSecret & { expiresAt: Date }) | undefined> {
  const row = await firstRow(
    executor,
    sql<{ numberNo: number; kind: "qr" | "code"; secret: Buffer; expiresAt: Date }>`
      select number_no, secret_kind as kind, secret, expires_at from pairing_attempts
      where company_no = ${companyNo} and attempt_id = ${attemptId} and secret is not null
        and ended_at is null and expires_at > clock_timestamp()`,
  );
  if (row === undefined) return undefined;
  const sealer = await keyring.sealer(executor, companyNo);
  const value = sealer.open(secretContext(row.numberNo, row.kind, attemptId), row.secret);
  return { kind: row.kind, value: value.toString(), expiresAt: row.expiresAt };
}

/**
 * Ends attempts that a former owner left behind (`failed`, `UNAVAILABLE`), in a fenced transaction;
 * returns them, so that their end can be told.
 */
export async function endOrphanAttempts(tx: Tx, fence: Fence): Promise<AttemptRow[]> {
  return rows(
    tx,
    sql<AttemptRow>`update pairing_attempts a
      set state = 'ended', outcome = 'failed', error_code = 'UNAVAILABLE',
        ended_at = clock_timestamp(), secret = null, secret_kind = null
      where a.company_no = ${fence.companyNo} and a.number_no = ${fence.numberNo}
        and a.ended_at is null and a.epoch < ${fence.epoch}
      returning ${columns}`,
  );
}

/**
 * Somebody is looking at the number's pairing: an attempt goes on for `watchMs` (30 s). Writes at most once
 * in a third of that time, so it can be called at every read.
 */
export async function watchPairing(
  executor: Executor,
  companyNo: number,
  numberNo: number,
  watchMs = 30_000,
): Promise<void> {
  await sql`insert into pairing_watch as w (company_no, number_no, until)
    values (${companyNo}, ${numberNo}, clock_timestamp() + ${watchMs}::bigint * interval '1 millisecond')
    on conflict (company_no, number_no) do update set until = excluded.until
      where w.until < clock_timestamp() + ${Math.round((watchMs * 2) / 3)}::bigint * interval '1 millisecond'`.execute(
    executor,
  );
}

/** Whether somebody watches the number's pairing now. */
export async function isWatched(executor: Executor, numberNo: number): Promise<boolean> {
  return (await watchedUntil(executor, [numberNo])).has(numberNo);
}

/** Until when the numbers are watched; those that nobody watches now are missing. */
export async function watchedUntil(
  executor: Executor,
  numberNos: number[],
): Promise<Map<number, Date>> {
  const watches = await rows(
    executor,
    sql<{ numberNo: number; until: Date }>`
      select w.number_no, w.until from pairing_watch w
      join numbers n on n.company_no = w.company_no and n.number_no = w.number_no
      where n.number_no = any (${numberNos}::int[]) and w.until > clock_timestamp()`,
  );
  return new Map(watches.map(({ numberNo, until }) => [numberNo, until]));
}

/** Erases the QR or code of attempts whose time is over but whose owner has not ended them. */
export async function eraseExpiredSecrets(executor: Executor): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ count: number }>`select erase_expired_pairing_secrets() as count`,
  );
  return row?.count ?? 0;
}

/** Attempts that ended more than `keepMs` ago (30 days) are deleted. Role worker. */
export async function deleteOldAttempts(executor: Executor, keepMs: number): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ count: number }>`
      select delete_old_attempts(${keepMs}::bigint * interval '1 millisecond') as count`,
  );
  return row?.count ?? 0;
}

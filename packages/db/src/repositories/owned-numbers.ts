import type {
  DesiredState,
  Provider,
  Restriction,
  SessionReason,
  SessionStatus,
} from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";
import { IS_LINKED } from "./numbers.ts";

/** A number as its owner sees it, with what it needs of the company. `epoch` is the lease's. */
export type OwnedNumber = {
  numberNo: number;
  numberId: string;
  companyNo: number;
  companyId: string;
  shardId: number;
  epoch: number;
  provider: Provider;
  phone: string | null;
  isPrimary: boolean;
  desiredState: DesiredState;
  status: SessionStatus;
  reason: SessionReason;
  since: Date;
  /** When the status ends by itself. */
  until: Date | null;
  /** The epoch under which the status was written: another than `epoch` until this owner has written one. */
  statusEpoch: number;
  isLinked: boolean;
  /** A pairing attempt is live, maybe one that a former owner left behind. */
  hasLiveAttempt: boolean;
  /** Something was decrypted and is not told yet. */
  hasOpenJournal: boolean;
  /** Messages are marked as being sent under this very epoch; who takes the number over knows nothing of them. */
  hasLostSends: boolean;
  /** What WhatsApp does not let it send; kept past its end until that is known. */
  restriction: Restriction | null;
  lastConnectedAt: Date | null;
  companyPhone: string | null;
  companyEnabled: boolean;
  /** The company wants to be told of what is written in groups. */
  groupMessages: boolean;
  country: string | null;
  language: string;
  timezone: string;
  /** The later change of the two: number or company. */
  updatedAt: Date;
};

const columns = sql.raw(
  [
    "n.number_no, n.number_id, n.company_no, c.company_id, c.shard_id, l.epoch, n.provider",
    "n.phone_e164 as phone, n.is_primary, n.desired_state, n.status, n.reason, n.since, n.until, n.status_epoch",
    `${IS_LINKED} as is_linked`,
    "exists (select 1 from pairing_attempts a where a.company_no = n.company_no and a.number_no = n.number_no and a.ended_at is null) as has_live_attempt",
    "exists (select 1 from inbound_journal j where j.company_no = n.company_no and j.number_no = n.number_no and j.done_at is null) as has_open_journal",
    "exists (select 1 from messages m where m.company_no = n.company_no and m.number_no = n.number_no and m.is_next and m.state = 'sending' and m.claimed_epoch = l.epoch) as has_lost_sends",
    "n.restriction",
    "coalesce((c.whatsapp_config -> 'groupMessages')::boolean, false) as group_messages",
    "n.last_connected_at, c.phone as company_phone, c.whatsapp_enabled as company_enabled, c.country",
    "c.language, c.timezone, greatest(n.updated_at, c.updated_at) as updated_at",
  ].join(", "),
);
const from = sql.raw(`from shard_leases l
  join companies c on c.shard_id = l.shard_id
  join numbers n on n.company_no = c.company_no`);

/**
 * Raises the fences of a shard's numbers to the epoch of its lease, in one statement, but for those that a
 * writer holds at this moment: one stuck writer (Postgres ends it after 5 s idle) delays its own number only,
 * which `adoptNumbers` finds later. No write of an older epoch can happen to what was raised. Returns how many.
 */
export async function raiseFreeFences(
  executor: Executor,
  shardId: number,
  epoch: number,
): Promise<number> {
  return changed(
    executor,
    sql`with free as materialized (
        select f.company_no, f.number_no from number_fence f
        join companies c on c.company_no = f.company_no
        where c.shard_id = ${shardId} and f.epoch < ${epoch}
        order by f.company_no, f.number_no for update of f skip locked
      )
      update number_fence f set epoch = ${epoch} from free
      where f.company_no = free.company_no and f.number_no = free.number_no`,
  );
}

/**
 * Like `raiseFreeFences`, and then waits for those that a writer holds, one by one. Not in a transaction.
 * Returns how many were raised.
 */
export async function raiseFences(
  executor: Executor,
  shardId: number,
  epoch: number,
): Promise<number> {
  const free = await raiseFreeFences(executor, shardId, epoch);
  const held = await rows(
    executor,
    sql<{ companyNo: number; numberNo: number }>`
      select f.company_no, f.number_no from number_fence f
      join companies c on c.company_no = f.company_no
      where c.shard_id = ${shardId} and f.epoch < ${epoch} order by f.company_no, f.number_no`,
  );
  let raised = free;
  for (const { companyNo, numberNo } of held) {
    raised += await changed(
      executor,
      sql`update number_fence set epoch = ${epoch}
        where company_no = ${companyNo} and number_no = ${numberNo} and epoch < ${epoch}`,
    );
  }
  return raised;
}

/**
 * Raises the fences of numbers that came since (a new number starts with epoch 0) and returns those
 * numbers. Numbers a writer holds are left for the next call. What they are is read by a statement of its own,
 * which sees everything that was written before their fences were raised.
 */
export async function adoptNumbers(executor: Executor, workerId: string): Promise<OwnedNumber[]> {
  const raised = await rows(
    executor,
    sql<{ numberNo: number }>`
      with fresh as materialized (
        select f.company_no, f.number_no, l.epoch from number_fence f
        join companies c on c.company_no = f.company_no
        join shard_leases l on l.shard_id = c.shard_id
        where l.owner = ${workerId} and f.epoch < l.epoch
        order by f.company_no, f.number_no for update of f skip locked
      )
      update number_fence f set epoch = fresh.epoch from fresh
      where f.company_no = fresh.company_no and f.number_no = fresh.number_no
      returning f.number_no`,
  );
  if (raised.length === 0) return [];
  return rows(
    executor,
    sql<OwnedNumber>`select ${columns} ${from}
      where l.owner = ${workerId} and n.number_no = any (${raised.map(({ numberNo }) => numberNo)}::int[])
      order by n.number_no`,
  );
}

/** All numbers of a shard that the worker owns and whose fences are raised, whoever was connected last first. */
export async function listOwnedNumbers(
  executor: Executor,
  workerId: string,
  shardId: number,
): Promise<OwnedNumber[]> {
  return rows(
    executor,
    sql<OwnedNumber>`select ${columns} ${from}
      join number_fence f
        on f.company_no = n.company_no and f.number_no = n.number_no and f.epoch = l.epoch
      where l.owner = ${workerId} and l.shard_id = ${shardId}
      order by n.last_connected_at desc nulls last, n.number_no`,
  );
}

/** One number, if the worker owns its shard. */
export async function getOwnedNumber(
  executor: Executor,
  workerId: string,
  numberNo: number,
): Promise<OwnedNumber | undefined> {
  return firstRow(
    executor,
    sql<OwnedNumber>`select ${columns} ${from}
      where l.owner = ${workerId} and n.number_no = ${numberNo}`,
  );
}

/**
 * Numbers of the worker's shards of which a person changed something after `since` (theirs or their
 * company's). Looks 5 s further back, as a transaction may have committed late: some come twice. Reads what
 * changed, not what is owned.
 */
export async function changedNumbers(
  executor: Executor,
  workerId: string,
  since: Date,
): Promise<OwnedNumber[]> {
  const from5s = sql`${since}::timestamptz - interval '5 seconds'`;
  return rows(
    executor,
    sql<OwnedNumber>`
      with touched as materialized (
        select number_no from numbers where updated_at > ${from5s}
        union
        select n.number_no from companies c join numbers n on n.company_no = c.company_no
        where c.updated_at > ${from5s}
      )
      select ${columns} from touched
      join numbers n on n.number_no = touched.number_no
      join companies c on c.company_no = n.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where l.owner = ${workerId}
      order by n.number_no`,
  );
}

/** All numbers in the worker's shards; what it serves and is missing here was removed. */
export async function ownedNumberNos(
  executor: Executor,
  workerId: string,
): Promise<{ numberNo: number; shardId: number }[]> {
  return rows(
    executor,
    sql<{ numberNo: number; shardId: number }>`
      select n.number_no, l.shard_id ${from} where l.owner = ${workerId}`,
  );
}

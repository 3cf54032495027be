/** Which numbers are away, and what was said of it. Role notify. */
import type { SessionReason } from "@manyline/contracts";
import { sql } from "kysely";
import { rows, type Tx } from "../open.ts";

export type LossKey = { companyNo: number; numberNo: number };
export type LossRow = LossKey & {
  since: Date;
  reason: SessionReason;
  toldReason: SessionReason | null;
  tellAt: Date | null;
};

/** Locks them until the transaction ends. */
export async function readLosses(tx: Tx, keys: readonly LossKey[]): Promise<LossRow[]> {
  return rows(
    tx,
    sql<LossRow>`select l.company_no, l.number_no, l.since, l.reason, l.told_reason, l.tell_at
      from number_losses l
      join unnest(${keys.map((one) => one.companyNo)}::int[], ${keys.map((one) => one.numberNo)}::int[])
        as k (company_no, number_no) on k.company_no = l.company_no and k.number_no = l.number_no
      order by l.company_no, l.number_no for update of l`,
  );
}

export async function writeLosses(tx: Tx, losses: readonly LossRow[]): Promise<void> {
  if (losses.length === 0) return;
  await sql`insert into number_losses as l (company_no, number_no, since, reason, told_reason, tell_at)
    select x."companyNo", x."numberNo", x.since, x.reason, x."toldReason", x."tellAt"
    from jsonb_to_recordset(${JSON.stringify(losses)}::jsonb) as x ("companyNo" int, "numberNo" int,
      since timestamptz, reason text, "toldReason" text, "tellAt" timestamptz)
    join numbers n on n.company_no = x."companyNo" and n.number_no = x."numberNo"
    order by 1, 2
    on conflict (company_no, number_no) do update set since = excluded.since, reason = excluded.reason,
      told_reason = excluded.told_reason, tell_at = excluded.tell_at`.execute(tx);
}

export async function endLosses(tx: Tx, keys: readonly LossKey[]): Promise<void> {
  if (keys.length === 0) return;
  await sql`delete from number_losses l
    using unnest(${keys.map((one) => one.companyNo)}::int[], ${keys.map((one) => one.numberNo)}::int[])
      as k (company_no, number_no)
    where k.company_no = l.company_no and k.number_no = l.number_no`.execute(tx);
}

/** Those to be told now, with what the number is by now. Taken by one notifier until its transaction ends. */
export async function takeDueLosses(
  tx: Tx,
  limit: number,
): Promise<(LossRow & { companyId: string; status: string })[]> {
  return rows(
    tx,
    sql<
      LossRow & { companyId: string; status: string }
    >`select l.company_no, l.number_no, l.since, l.reason,
        l.told_reason, l.tell_at, c.company_id, n.status
      from number_losses l
      join numbers n on n.company_no = l.company_no and n.number_no = l.number_no
      join companies c on c.company_no = l.company_no
      where l.tell_at <= clock_timestamp()
      order by l.tell_at limit ${limit} for update of l skip locked`,
  );
}

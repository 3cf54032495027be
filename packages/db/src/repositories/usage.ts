/** What Meta charges for, counted from the prices that statuses name. */
import { createHash } from "node:crypto";
import { sql } from "kysely";
import { type Executor, firstRow, rows, type Tx } from "../open.ts";
import { nameable, pastTime } from "./inbound-batch.ts";
import type { Group, StatusPiece } from "./ingest-routes.ts";

const ARRIVED: ReadonlySet<StatusPiece["state"]> = new Set(["delivered", "read", "played"]);
/** Not in answer to anybody: whoever is written to so counts against the limit of the portfolio. */
const OPENING_KIND = "regular";
const IN_CONVERSATION = "service";
const WORD_LENGTH = 64;

const hashOf = (...parts: (string | null | undefined)[]): Buffer =>
  createHash("sha256").update(parts.join("\0")).digest();
const word = (text: string | null): string =>
  (nameable(text ?? "") || "unknown").slice(0, WORD_LENGTH);

/** Counts the prices that these statuses name, each message once. In the transaction that stores them. Role ingest. */
export async function noteUsage(tx: Tx, groups: readonly Group[]): Promise<void> {
  const priced = groups.flatMap(({ source: { fence }, statuses }) =>
    statuses.flatMap((status) => (status.pricing ? [{ fence, status, ...status.pricing }] : [])),
  );
  if (priced.length === 0) return;
  const people = priced.map(({ status, kind, category }) =>
    kind === OPENING_KIND && category !== IN_CONVERSATION ? personOf(status) : null,
  );
  const dayOf = (at: Date): string => pastTime(at).toISOString().slice(0, 10);
  await sql`select note_usage(${priced.map(({ fence }) => fence.companyNo)}::int[],
    ${priced.map(({ fence }) => fence.numberNo)}::int[],
    ${priced.map(({ status }) => hashOf(status.providerMessageId))}::bytea[],
    ${priced.map(({ status }) => ARRIVED.has(status.state))}::boolean[],
    ${priced.map(({ status }) => dayOf(status.at))}::date[],
    ${priced.map(({ category }) => word(category))}::text[],
    ${priced.map(({ kind }) => word(kind))}::text[],
    ${priced.map(({ isBillable }) => isBillable)}::boolean[],
    ${people}::bytea[])`.execute(tx);
}

/** Meta names a person by an id in all that it tells, or by the phone in all of it. */
function personOf({ recipient: { userId, phone } }: StatusPiece): Buffer | null {
  const name = userId ?? phone;
  return name === undefined || name === null ? null : hashOf(name);
}

/** One line of a number's usage. `day`: `YYYY-MM-DD`, UTC. */
export type UsageRow = {
  day: string;
  category: string;
  kind: string;
  isBillable: boolean;
  priced: number;
  delivered: number;
};

/** Of the days from `from` to `to`, both `YYYY-MM-DD` and included, the latest first. Role app, in `withCompany`. */
export async function readUsage(
  executor: Executor,
  number: { companyNo: number; numberNo: number },
  from: string,
  to: string,
): Promise<UsageRow[]> {
  return rows(
    executor,
    sql<UsageRow>`select day::text, category, kind, is_billable, priced::float8 as priced,
        delivered::float8 as delivered
      from number_usage
      where company_no = ${number.companyNo} and number_no = ${number.numberNo}
        and day between ${from}::date and ${to}::date
      order by day desc, category, kind, is_billable`,
  );
}

/** The portfolio of a number, as its owner learnt it from Meta. */
export type Portfolio = {
  id: string;
  /** As Meta calls it, such as `TIER_2K`; null: not known. */
  limit: string | null;
  /** People whom all numbers in it together wrote to first in the last 24 hours. */
  people: number;
};

/** Undefined: nobody knows the number's portfolio. Role app, in `withCompany`. */
export async function readPortfolio(
  executor: Executor,
  number: { companyNo: number; numberNo: number },
): Promise<Portfolio | undefined> {
  return firstRow(
    executor,
    sql<Portfolio>`select settings ->> 'portfolioId' as id, settings ->> 'messagingLimit' as limit,
        count_portfolio_people(settings ->> 'portfolioId') as people
      from numbers where company_no = ${number.companyNo} and number_no = ${number.numberNo}
        and settings ->> 'portfolioId' is not null`,
  );
}

/** Meta has proved that this address is ours; `path` as in `webhook_handshakes`. Role ingest. */
export async function noteHandshake(executor: Executor, path: string): Promise<void> {
  await sql`insert into webhook_handshakes (path) values (${path})
    on conflict (path) do update set at = clock_timestamp()`.execute(executor);
}

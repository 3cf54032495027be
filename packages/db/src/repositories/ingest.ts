import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { type Database, inTransaction, rows, type Tx } from "../open.ts";
import { appendEvents, type StoredEvent } from "./events.ts";
import { storeTogether } from "./inbound.ts";
import { type News, newsOf, notedStatuses, type Resolved, sentNameOf } from "./ingest-news.ts";
import { noteObserved } from "./ingest-observed.ts";
import { joinPeople, lockPeople } from "./ingest-people.ts";
import {
  type Group,
  type IngestWebhook,
  type Piece,
  routePieces,
  type Teller,
} from "./ingest-routes.ts";
import { parkPieces, parkWebhook } from "./unroutable.ts";
import { noteUsage } from "./usage.ts";
import { endEntries } from "./webhook-journal.ts";

export type { IngestWebhook, Teller } from "./ingest-routes.ts";

/** `repeated`: pieces that are stored already. `parked`: changes that belong to no number, kept for later. */
export type IngestResult = { events: StoredEvent[]; repeated: number; parked: number };

/**
 * Commits webhooks of the Meta Cloud API in one transaction: messages with people, chats and files, statuses,
 * notices, their events, and what belongs to nobody. Whose a piece is, is decided here, by the numbers as they
 * are at this moment; nobody needs to own a number for it. What was committed within the last nine days is
 * dropped, so a webhook may come as often as it likes. Role ingest.
 */
export async function commitIngest(
  db: Database,
  keyring: Keyring,
  teller: Teller,
  webhooks: readonly IngestWebhook[],
): Promise<IngestResult> {
  return inTransaction(db, async (tx) => {
    const pieces = (await stillOpen(tx, webhooks)).flatMap((from): Piece[] =>
      from.webhook.items.map((item) => ({ from, item })),
    );
    if (pieces.length === 0) return { events: [], repeated: 0, parked: 0 };
    const { groups, lost } = await routePieces(tx, teller, pieces);
    const { events, repeated } = await storeGroups(tx, keyring, groups);
    await noteUsage(tx, groups);
    return { events, repeated, parked: await parkPieces(tx, [...lost, ...tooLarge(pieces)]) };
  });
}

/** Keeps a webhook that cannot be stored aside, for whoever mends it. Role ingest. */
export async function setAside(db: Database, webhook: IngestWebhook): Promise<void> {
  await inTransaction(db, async (tx) => {
    for (const one of await stillOpen(tx, [webhook])) await parkWebhook(tx, one);
  });
}

/** Those that nobody else has taken from the journal. */
async function stillOpen(tx: Tx, webhooks: readonly IngestWebhook[]): Promise<IngestWebhook[]> {
  const ended = await endEntries(
    tx,
    webhooks.flatMap(({ entryNo }) => entryNo ?? []),
  );
  return webhooks.filter(({ entryNo }) => entryNo === undefined || ended.has(entryNo));
}

/** `files`: ids of the files whose messages were news. */
export type StoredGroups = { events: StoredEvent[]; repeated: number; files: string[] };

/** Stores what came in for numbers that are held, whichever provider told it. Role ingest. */
export async function storeGroups(
  tx: Tx,
  keyring: Keyring,
  groups: readonly Group[],
): Promise<StoredGroups> {
  const result: StoredGroups = { events: [], repeated: 0, files: [] };
  await lockPeople(tx, groups);
  const resolved = await storeItems(tx, keyring, groups, result);
  const news: News[] = [];
  for (const group of groups) result.events.push(...(await joinPeople(tx, group)));
  for (const [place, { events, unknown }] of (await notedStatuses(tx, groups)).entries()) {
    result.events.push(...events);
    const group = groups[place];
    if (group) news.push(...newsOf(group, unknown, resolved));
  }
  const fresh = await freshNews(tx, news);
  result.repeated += news.length - fresh.length;
  const told = fresh.map((one) => one.told());
  result.events.push(...(await appendEvents(tx, told)));
  await noteObserved(tx, fresh);
  return result;
}

/** Messages, changes and people of all groups. Answers who the people of each group are. */
async function storeItems(
  tx: Tx,
  keyring: Keyring,
  groups: readonly Group[],
  result: StoredGroups,
): Promise<Resolved> {
  if (groups.every(({ items }) => items.length === 0)) return new Map();
  const commits = groups.map(({ source, items, statuses }) => {
    return { source, items, sent: statuses.map(sentNameOf) };
  });
  const stored = await storeTogether(tx, keyring, commits);
  const resolved: Resolved = new Map();
  for (const [place, { source }] of commits.entries()) {
    const one = stored[place];
    if (!one) throw new Error("a number that is held was not opened");
    result.events.push(...one.events);
    result.repeated += one.repeated;
    result.files.push(...one.files);
    resolved.set(source.fence.numberNo, one.personOf);
  }
  return resolved;
}

/** Those that did not come before, each once, in their order. */
async function freshNews(tx: Tx, news: readonly News[]): Promise<News[]> {
  if (news.length === 0) return [];
  const noted = await rows(
    tx,
    sql<{
      companyNo: number;
      numberNo: number;
      hash: Buffer;
    }>`insert into seen (company_no, number_no, hash)
      select distinct company_no, number_no, hash from unnest(${news.map(({ companyNo }) => companyNo)}::int[],
        ${news.map(({ numberNo }) => numberNo ?? 0)}::int[], ${news.map(({ hash }) => hash)}::bytea[])
        as n (company_no, number_no, hash)
      order by 1, 2, 3
      on conflict do nothing returning company_no, number_no, hash`,
  );
  const keyOf = (companyNo: number, numberNo: number | null, hash: Buffer): string =>
    `${companyNo}/${numberNo ?? 0}/${hash.toString("base64")}`;
  const open = new Set(noted.map((row) => keyOf(row.companyNo, row.numberNo, row.hash)));
  return news.filter((one) => open.delete(keyOf(one.companyNo, one.numberNo, one.hash)));
}

/** Notices whose details do not fit into an event are kept whole. */
function tooLarge(pieces: readonly Piece[]): Piece[] {
  return pieces.filter(({ item: { input } }) => input.kind === "notice" && input.data.isTruncated);
}

import { sql } from "kysely";
import { type Executor, rows } from "../open.ts";
import { type Count, countOf, keep } from "./counted.ts";

/** Makes the partitions of this and the next months. Role worker; returns how many were missing. */
export async function ensureMessagePartitions(
  executor: Executor,
  monthsAhead: number,
): Promise<number> {
  return countOf(executor, sql<Count>`select create_message_partitions(${monthsAhead}) as count`);
}

/** Drops the months that ended more than `keepDays` (at least 10) ago. Role worker; returns how many. */
export async function dropOldMessages(executor: Executor, keepDays: number): Promise<number> {
  return countOf(executor, sql<Count>`select drop_message_partitions(${keepDays}) as count`);
}

/** Files of messages older than `keepMs`. */
export async function deleteOldMedia(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_media(${keep(keepMs)}) as count`);
}

/** Entries of the journal that were done more than `keepMs` ago; open ones stay. */
export async function deleteOldJournal(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_journal(${keep(keepMs)}) as count`);
}

export async function deleteOldSeen(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_seen(${keep(keepMs)}) as count`);
}

export async function deleteOldIdempotency(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_idempotency(${keep(keepMs)}) as count`);
}

/** Deletes up to `limit` rows of numbers that were removed. Returns how many. */
export async function purgeRemovedNumbers(executor: Executor, limit: number): Promise<number> {
  return countOf(executor, sql<Count>`select purge_removed_numbers(${limit}) as count`);
}

/** Locations of files that nobody needs any more, the oldest first. Role worker. */
export async function listDroppedFiles(executor: Executor, limit: number): Promise<string[]> {
  const found = await rows(
    executor,
    sql<{ location: string }>`select location from list_dropped_files(${limit}) as f (location)`,
  );
  return found.map(({ location }) => location);
}

/** These were removed from the store. Returns how many were on the list. */
export async function forgetDroppedFiles(
  executor: Executor,
  locations: readonly string[],
): Promise<number> {
  return countOf(
    executor,
    sql<Count>`select forget_dropped_files(${[...locations]}::text[]) as count`,
  );
}

/** Pieces of webhooks that belong to nobody and last came more than `keepMs` ago. */
export async function deleteOldUnroutable(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_unroutable(${keep(keepMs)}) as count`);
}

/** Notes of messages whose outcome is known by now. Returns how many. */
export async function deleteKnownSends(executor: Executor): Promise<number> {
  return countOf(executor, sql<Count>`select delete_known_sends() as count`);
}

/** Keys of flows that ceased to answer more than `keepMs` ago. */
export async function deleteRetiredFlowKeys(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_retired_flow_keys(${keep(keepMs)}) as count`);
}

/** Usage, prices, people of portfolios and handshakes that were kept long enough. Returns how many rows. */
export async function deleteOldUsage(executor: Executor): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_usage() as count`);
}

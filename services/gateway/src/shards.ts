/** Reading shards with what surrounds them. */
import { ManylineError } from "@manyline/contracts";
import type { Shard } from "@manyline/contracts";
import { companyIdsOf, listShardCompanies, listShards, listWorkers } from "@manyline/db";
import type { Executor, ShardRow } from "@manyline/db";
import { shardAnswer } from "./domain/operations.ts";

/** All shards in the order of their ranges. */
export async function readShards(executor: Executor): Promise<Shard[]> {
  return answersOf(executor, await shardRows(executor));
}

/** Throws SHARD_NOT_FOUND. */
export async function readShard(executor: Executor, shardId: number): Promise<Shard> {
  const row = rowOf(await shardRows(executor), shardId);
  const [shard] = await answersOf(executor, [row]);
  if (!shard) throw new ManylineError("SHARD_NOT_FOUND");
  return shard;
}

/** The shards' rows in the order of their ranges. */
export async function shardRows(executor: Executor): Promise<ShardRow[]> {
  return (await listShards(executor)).toSorted((a, b) => a.lo - b.lo);
}

/** Throws SHARD_NOT_FOUND. */
export function rowOf(rows: readonly ShardRow[], shardId: number): ShardRow {
  const row = rows.find((one) => one.shardId === shardId);
  if (!row) throw new ManylineError("SHARD_NOT_FOUND");
  return row;
}

async function answersOf(executor: Executor, rows: readonly ShardRow[]): Promise<Shard[]> {
  const only = rows.length === 1 ? rows[0]?.shardId : undefined;
  const companies = await listShardCompanies(executor, only);
  const byShard = new Map(companies.map((one) => [one.shardId, one]));
  const workers = await listWorkers(executor);
  const splits = rows.flatMap(({ splitAt }) => (splitAt === null ? [] : [splitAt]));
  const companyIds = await companyIdsOf(executor, splits);
  return rows.map((row) =>
    shardAnswer(row, {
      companies: byShard.get(row.shardId),
      workers,
      splitCompanyId: row.splitAt === null ? null : (companyIds.get(row.splitAt) ?? null),
    }),
  );
}

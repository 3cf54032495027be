import type { OpenTestDatabase } from "@manyline/db/testing";
import { Client } from "pg";
import type { SeededNumber } from "./seed-linked-numbers.ts";

/**
 * Cuts the shards of seeded companies into shards of `size` companies. Only while no worker runs: a running
 * fleet splits its shards itself.
 */
export async function spreadOverShards(
  database: OpenTestDatabase,
  numbers: readonly SeededNumber[],
  size: number,
): Promise<SeededNumber[]> {
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  try {
    await client.query("begin");
    const { rows } = await client.query<{ lo: number; hi: number }>(
      "select lo, hi from shards order by lo",
    );
    await client.query("update shards set hi = least(hi, lo + $1)", [size]);
    const starts = rows.flatMap(({ lo, hi }) =>
      Array.from({ length: Math.ceil((hi - lo) / size) - 1 }, (_, index) => ({
        lo: lo + (index + 1) * size,
        hi: Math.min(hi, lo + (index + 2) * size),
      })),
    );
    await client.query(
      `insert into shards (shard_id, lo, hi)
        select (select max(shard_id) from shards) + n, lo, hi
        from unnest($1::int[], $2::int[]) with ordinality as part (lo, hi, n)`,
      [starts.map(({ lo }) => lo), starts.map(({ hi }) => hi)],
    );
    await client.query(
      "insert into shard_leases (shard_id) select shard_id from shards on conflict do nothing",
    );
    const moved = await client.query<{ companyNo: number; shardId: number }>(
      `update companies c set shard_id = s.shard_id from shards s
        where c.company_no >= s.lo and c.company_no < s.hi
        returning c.company_no as "companyNo", s.shard_id as "shardId"`,
    );
    // Empty ones would count for the fair share.
    await client.query(`delete from shards s
      where not exists (select 1 from companies c where c.shard_id = s.shard_id)`);
    await client.query("commit");
    const shards = new Map(moved.rows.map(({ companyNo, shardId }) => [companyNo, shardId]));
    return numbers.map((number) => ({
      ...number,
      shardId: shards.get(number.companyNo) ?? number.shardId,
    }));
  } finally {
    await client.end();
  }
}

import type { Generated } from "kysely";

/**
 * Contiguous ranges of company_no, `lo` included, `hi` not; ranges cannot overlap.
 *
 * Writer: gateway (platform), creating the first company of a range; workers, splitting one.
 * Retention: for ever.
 */
export type ShardsTable = {
  shardId: number;
  lo: number;
  hi: number;
  mapVersion: Generated<number>;
};

/**
 * Who owns a shard, and since which epoch. Judged by the clock of Postgres alone. `open_epoch`: the epoch
 * in which the owner has begun to serve it, which a leaving worker waits for.
 *
 * Writer: gateway inserts it with the shard; workers claim, renew and release it.
 * Retention: as long as the shard; the epoch never falls.
 */
export type ShardLeasesTable = {
  shardId: number;
  owner: string | null;
  epoch: Generated<number>;
  expiresAt: Date | null;
  releasedAt: Date | null;
  openEpoch: Generated<number>;
  weight: Generated<number>;
};

/**
 * The session workers that are or were there. A worker id is never used again after a restart.
 *
 * Writer: each worker its own row, at least every 2.5 s while it lives.
 * Retention: 7 days after it was last seen, unless it owns a shard.
 */
export type WorkersTable = {
  workerId: string;
  generation: number;
  capacity: number;
  draining: Generated<boolean>;
  startedAt: Generated<Date>;
  seenAt: Generated<Date>;
};

import type { Generated, GeneratedAlways } from "kysely";

/**
 * Contiguous ranges of company_no, `lo` included, `hi` not; ranges cannot overlap.
 *
 * Writer: gateway (platform), creating the first company of a range; `split_shard` and `merge_shards`, which
 * the owner calls, or the gateway while nobody owns it.
 * Retention: until it is merged into the one below; its id is not given again.
 */
export type ShardsTable = {
  shardId: number;
  lo: number;
  hi: number;
  mapVersion: Generated<number>;
};

/**
 * Who owns a shard, and since which epoch. Judged by the clock of Postgres alone. `open_epoch`: the epoch
 * in which the owner has begun to serve it, which a leaving worker waits for. `weight`: what it costs its
 * owner; the fair share is counted in it. `moves`: claims after the first one. What an operator wants:
 * `pinned_to` (a host that gets it while a worker lives there), `paused` (nobody owns it), `split_at` (the
 * company_no at which the owner splits it), `merge_next` (the owner merges the shard right above into it).
 *
 * Writer: gateway inserts it with the shard and sets what an operator wants; workers claim, renew and
 * release it.
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
  claimedAt: Date | null;
  moves: Generated<number>;
  pinnedTo: string | null;
  paused: Generated<boolean>;
  splitAt: number | null;
  mergeNext: Generated<boolean>;
};

/** How a shard came to its epoch: `taken_over` from an owner whose lease had run out. */
export type ShardMoveHow = "claimed" | "taken_over" | "split" | "merged";

/**
 * What became of shards: each claim, split and merge, written in the same statement. `worker_id`: who has it
 * now, nobody after a split or a merge.
 *
 * Writer: workers, claiming; `split_shard` and `merge_shards`.
 * Retention: 7 days.
 */
export type ShardMovesTable = {
  moveNo: GeneratedAlways<number>;
  shardId: number;
  epoch: number;
  workerId: string | null;
  previousWorkerId: string | null;
  how: ShardMoveHow;
  at: Generated<Date>;
};

/**
 * The session workers that are or were there. A worker id is never used again after a restart, nor after
 * somebody took over from it. `drain_asked`: an operator wants it to own nothing. `numbers`, `connected`,
 * `opening`, `waiting`: its sessions as of `seen_at`.
 *
 * Writer: each worker its own row, at least every 2.5 s while it lives; gateway `drain_asked`.
 * Retention: 7 days after it was last seen, unless it owns a shard.
 */
export type WorkersTable = {
  workerId: string;
  generation: number;
  capacity: number;
  draining: Generated<boolean>;
  startedAt: Generated<Date>;
  seenAt: Generated<Date>;
  host: Generated<string>;
  version: Generated<string>;
  drainAsked: Generated<boolean>;
  numbers: Generated<number>;
  connected: Generated<number>;
  opening: Generated<number>;
  waiting: Generated<number>;
};

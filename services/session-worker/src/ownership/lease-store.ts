/** What the lease keeper asks of Postgres, on a connection of its own: no other query may delay a renewal. */
import {
  claimShards,
  readShares,
  registerWorker,
  releaseShards,
  removeWorker,
  renewLeases,
  type Database,
  type HeldShard,
  type Renewal,
  type Shares,
  type WorkerReport,
} from "@manyline/db";

export type RenewalInput = {
  draining: boolean;
  report: WorkerReport;
  /** Of the shards owned; what differs from the stored weight is stored. */
  weights: ReadonlyMap<number, number>;
};
export type ClaimInput = { maxWeight: number; limit: number; mayTakeExpired: boolean };

/** Each call is one statement; a rejected one may have happened all the same. */
export type LeaseStore = {
  register(workerId: string, draining: boolean): Promise<void>;
  renew(workerId: string, input: RenewalInput): Promise<Renewal>;
  shares(workerId: string): Promise<Shares>;
  claim(workerId: string, input: ClaimInput): Promise<HeldShard[]>;
  /**
   * All of the worker's when none are named, else these as long as they are its own in that epoch: a statement
   * that was given up may still run later, and must not take a newer lease away. Returns those that were.
   */
  release(workerId: string, shards?: readonly HeldShard[]): Promise<number[]>;
  remove(workerId: string): Promise<void>;
};

/** Who the worker is; the same in all its incarnations. */
export type WorkerIdentity = {
  host: string;
  version: string;
  generation: number;
  capacity: number;
};

export function createLeaseStore(
  db: Database,
  identity: WorkerIdentity,
  ttlMs: number,
): LeaseStore {
  return {
    register: (workerId, draining) => registerWorker(db, { ...identity, workerId, draining }),
    renew: (workerId, input) => renewLeases(db, workerId, { ...input, ttlMs }),
    shares: (workerId) => readShares(db, workerId, ttlMs),
    claim: (workerId, input) => claimShards(db, workerId, { ...input, ttlMs }),
    release: (workerId, shards) => releaseShards(db, workerId, shards),
    remove: (workerId) => removeWorker(db, workerId),
  };
}

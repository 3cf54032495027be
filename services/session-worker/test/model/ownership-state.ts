/** The states of ownership-model.ts, and small steps from one to another. */

export type OwnershipRules = {
  /** Numbers are closed before their shard is released, split or merged. */
  closesFirst: boolean;
  /** The deadline counts from before the renewal was sent. */
  countsFromSending: boolean;
  /** How much earlier than the lease's end the deadline lies. */
  marginTicks: number;
  /** Release, split and merge name the epochs they mean. */
  namesEpochs: boolean;
  /** A claim makes a new epoch. */
  newEpochs: boolean;
  /** A shard split off begins with the epoch of the one it was part of. */
  splitKeepsEpoch: boolean;
  /** A merged shard goes on from the greater of the two epochs. */
  mergeTakesGreater: boolean;
  /** An operator splits and merges only what nobody owns, not what has expired. */
  operatorWaits: boolean;
  /** After a split without an answer the closed half stays closed. */
  staysClosed: boolean;
  /** A worker that is given a shard which it believes to hold already lets go of that first. */
  claimLetsGo: boolean;
  /** A worker opens numbers of shards that it holds, not of whatever the database says is its own. */
  opensOnlyHeld: boolean;
};

export const RULES: OwnershipRules = {
  closesFirst: true,
  countsFromSending: true,
  marginTicks: 1,
  namesEpochs: true,
  newEpochs: true,
  splitKeepsEpoch: true,
  mergeTakesGreater: true,
  operatorWaits: true,
  staysClosed: true,
  claimLetsGo: true,
  opensOnlyHeld: true,
};

export type OwnershipBounds = {
  workers: number;
  ttlTicks: number;
  /** How far a worker's clock may fall behind Postgres' within one lease. */
  lagTicks: number;
  /** The highest epoch. */
  epochs: number;
  /** Whether shards are split and merged at all. */
  splits: boolean;
};

/** Of the first shard (the lower number; the upper one too while it is not split) and of the second. */
export type Pair = readonly [number, number];
export type Shard = 0 | 1;
export type Half = 0 | 1;
export type Lease = { owner: number; epoch: number; left: number };
export type Asked =
  /** `got`: the epochs of what was its own when it ran. `age`: ticks since it was sent. */
  { kind: "renewal"; got: Pair; age: number } | { kind: "claim"; shard: Shard; epoch: number };
/**
 * What it has sent in its life and what may still run although it does not fit any more: needed for broken
 * rules only. By the rules a statement names an epoch, and can run only where that is still what it means.
 */
export type Sent = { release: boolean; split: boolean; merge: boolean };
export type Worker = {
  held: Pair;
  /** Under which shard each number is open here. */
  open: readonly [Shard | null, Shard | null];
  /** Ticks until its own deadline; 0: quiet. */
  left: number;
  /** The renewal or claim it waits for. */
  asked: Asked | null;
  sent: Sent;
};
export type OwnershipState = {
  isSplit: boolean;
  leases: readonly [Lease, Lease];
  workers: readonly Worker[];
  /** The highest epoch under which each number was ever owned. */
  owned: Pair;
};

export const FREE: Lease = { owner: 0, epoch: 0, left: 0 };
export const NOTHING: Sent = { release: false, split: false, merge: false };
export const IDLE: Worker = {
  held: [0, 0],
  open: [null, null],
  left: 0,
  asked: null,
  sent: NOTHING,
};
export const SHARDS = [0, 1] as const;
export const NAMES = ["the first shard", "the second shard"] as const;

export function judge(state: OwnershipState): string | undefined {
  for (const half of [0, 1] as const) {
    const senders = state.workers.flatMap(({ left, open }, index) =>
      left > 0 && open[half] !== null ? [index + 1] : [],
    );
    if (senders.length > 1) {
      const number = half === 0 ? "lower" : "upper";
      return `workers ${senders.join(" and ")} may both send for the ${number} number`;
    }
  }
  return undefined;
}

/** The numbers of a claimed shard are opened: those that are in it by now. */
export function opened(
  worker: Worker,
  { shard, epoch }: { shard: Shard; epoch: number },
  halves: Half[],
): Worker {
  const held = worker.held.with(shard, epoch) as [number, number];
  const open = worker.open.map((one, half) => (halves.includes(half as Half) ? shard : one));
  return { ...worker, held, open: [open[0] ?? null, open[1] ?? null] };
}

/** Closes what is open under the shard and forgets the lease. */
export function letGo(worker: Worker, shard: Shard): Worker {
  const held = worker.held.with(shard, 0) as [number, number];
  const open = worker.open.map((one) => (one === shard ? null : one));
  return { ...worker, held, open: [open[0] ?? null, open[1] ?? null] };
}

export function halvesOf({ isSplit }: OwnershipState, shard: Shard): Half[] {
  if (shard === 1) return [1];
  return isSplit ? [0] : [0, 1];
}

export function withLease(state: OwnershipState, shard: Shard, lease: Lease): OwnershipState {
  const [first, second] = state.leases;
  return { ...state, leases: shard === 0 ? [lease, second] : [first, lease] };
}

export function withWorker(state: OwnershipState, index: number, worker: Worker): OwnershipState {
  return { ...state, workers: state.workers.with(index, worker) };
}

export function describeEpochs(got: Pair): string {
  const parts = SHARDS.flatMap((shard) =>
    got[shard] > 0 ? [`${NAMES[shard]} (epoch ${got[shard]})`] : [],
  );
  return parts.length > 0 ? parts.join(", ") : "nothing is its own";
}

/** Workers in the order of their texts, so that it does not matter which of them is which. */
export function key({ isSplit, leases, workers, owned }: OwnershipState): string {
  const owns = (shard: Shard, index: number): number => (leases[shard].owner === index + 1 ? 1 : 0);
  const texts = workers.map(
    (worker, index) => `${owns(0, index)}${owns(1, index)}${workerKey(worker)}`,
  );
  const [first, second] = leases;
  const database = `${Number(isSplit)}${first.epoch}${first.left}${second.epoch}${second.left}`;
  return `${database}${owned[0]}${owned[1]}${texts.toSorted().join("")}`;
}

/** Of a fixed length. */
export function workerKey({ held, open, left, asked, sent }: Worker): string {
  const bits = Number(sent.release) + 2 * Number(sent.split) + 4 * Number(sent.merge);
  let waiting = "----";
  if (asked?.kind === "claim") waiting = `c${asked.shard}${asked.epoch}-`;
  else if (asked) waiting = `r${asked.got[0]}${asked.got[1]}${asked.age}`;
  return `${held[0]}${held[1]}${open[0] ?? "-"}${open[1] ?? "-"}${left}${waiting}${bits}`;
}

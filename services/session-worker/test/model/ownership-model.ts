/**
 * The leases of one shard of two numbers, a lower and an upper one, which may be split into two shards and
 * merged again, and workers that claim, renew, release, split and merge. Time is Postgres', in ticks.
 *
 * Larger than life, so that what is safe here is safe there, and small enough to be searched whole:
 * - A statement given up by its sender may still run, at any later moment, as often as it likes.
 * - A worker that is stopped (SIGSTOP, a long pause) is one that takes no step while time goes on: nobody
 *   is ever forced to take one. A worker may release, split or claim whenever it likes.
 * - A renewal and a claim run in the moment in which they are sent, and only their answers take time:
 *   running later would only lengthen the lease.
 * - A worker's clock is always as slow as it may be.
 *
 * What is judged: at any moment at most one worker may send for a number (it has the number open and its
 * own deadline lies ahead), and every claim gives a number a higher epoch than any before it.
 */
import {
  FREE,
  IDLE,
  NAMES,
  SHARDS,
  describeEpochs,
  halvesOf,
  judge,
  key,
  letGo,
  opened,
  withLease,
  withWorker,
  type Asked,
  type Half,
  type Lease,
  type OwnershipBounds,
  type OwnershipRules,
  type OwnershipState,
  type Sent,
  type Shard,
  type Worker,
} from "./ownership-state.ts";
import type { Model, Step } from "./search.ts";

export function ownershipModel(
  rules: OwnershipRules,
  bounds: OwnershipBounds,
): Model<OwnershipState> {
  const deadlineTicks = bounds.ttlTicks - rules.marginTicks + bounds.lagTicks;

  return {
    initial: {
      isSplit: false,
      leases: [FREE, FREE],
      workers: Array.from({ length: bounds.workers }, () => IDLE),
      owned: [0, 0],
    },
    steps: (state) => {
      const steps = [
        tick(state),
        ...operator(state),
        ...state.workers.flatMap((worker, index) => [
          ...asks(state, worker, index),
          ...answers(state, worker, index),
          ...closes(state, worker, index),
          ...runs(state, worker, index),
        ]),
      ];
      for (const step of steps) step.broken ??= judge(step.next);
      return steps;
    },
    key,
  };

  function tick(state: OwnershipState): Step<OwnershipState> {
    const down = (ticks: number): number => Math.max(0, ticks - 1);
    const [first, second] = state.leases;
    return {
      label: "time passes",
      next: {
        ...state,
        leases: [
          { ...first, left: down(first.left) },
          { ...second, left: down(second.left) },
        ],
        workers: state.workers.map((worker) => ({
          ...worker,
          left: down(worker.left),
          asked:
            worker.asked?.kind === "renewal"
              ? { ...worker.asked, age: Math.min(worker.asked.age + 1, deadlineTicks) }
              : worker.asked,
        })),
      },
    };
  }

  function operator(state: OwnershipState): Step<OwnershipState>[] {
    if (!bounds.splits) return [];
    const isFree = ({ owner, left }: Lease): boolean =>
      owner === 0 || (!rules.operatorWaits && left === 0);
    const [first, second] = state.leases;
    if (!state.isSplit) {
      return isFree(first) ? [{ label: "an operator splits the shard", next: split(state) }] : [];
    }
    if (!isFree(first) || !isFree(second)) return [];
    return [{ label: "an operator merges the shards", next: merge(state) }];
  }

  /** Renewals and claims: they run at once, and are answered later or never. */
  function asks(state: OwnershipState, worker: Worker, index: number): Step<OwnershipState>[] {
    const owner = index + 1;
    const steps: Step<OwnershipState>[] = [];
    if (worker.asked === null) {
      const renew = (lease: Lease): Lease =>
        lease.owner === owner ? { ...lease, left: bounds.ttlTicks } : lease;
      const epochOf = (lease: Lease): number => (lease.owner === owner ? lease.epoch : 0);
      const [first, second] = state.leases;
      const got = [epochOf(first), epochOf(second)] as const;
      const asked: Asked = { kind: "renewal", got, age: 0 };
      const longer = { ...state, leases: [renew(first), renew(second)] as const };
      steps.push({
        label: `worker ${owner} renews: ${describeEpochs(got)}`,
        next: withWorker(longer, index, { ...worker, asked }),
      });
    }
    for (const shard of SHARDS) {
      const lease = state.leases[shard];
      const isThere = shard === 0 || state.isSplit;
      const isFree = lease.owner === 0 || lease.left === 0;
      if (!isThere || !isFree || lease.epoch === bounds.epochs) continue;
      const { next, epoch, broken } = claim(state, shard, owner);
      const what = `${NAMES[shard]}${lease.owner === 0 ? "" : ", expired"}: epoch ${epoch}`;
      steps.push({ label: `worker ${owner} claims ${what}; no answer`, next, broken });
      if (worker.asked !== null) continue;
      const now = next.workers[index] ?? worker;
      const asked: Asked = { kind: "claim", shard, epoch };
      steps.push({
        label: `worker ${owner} claims ${what}`,
        next: withWorker(next, index, { ...now, asked }),
        broken,
      });
    }
    return steps;
  }

  function claim(
    state: OwnershipState,
    shard: Shard,
    owner: number,
  ): { next: OwnershipState; epoch: number; broken: string | undefined } {
    const lease = state.leases[shard];
    const epoch = rules.newEpochs || lease.epoch === 0 ? lease.epoch + 1 : lease.epoch;
    const halves = halvesOf(state, shard);
    const before = Math.max(...halves.map((half) => state.owned[half]));
    const owned = state.owned.map((one, half) => (halves.includes(half as Half) ? epoch : one));
    const claimed = withLease(state, shard, { owner, epoch, left: bounds.ttlTicks });
    return {
      epoch,
      broken:
        epoch <= before
          ? `a number that was owned under epoch ${before} is claimed under epoch ${epoch}`
          : undefined,
      next: { ...claimed, owned: [owned[0] ?? 0, owned[1] ?? 0] },
    };
  }

  function answers(state: OwnershipState, worker: Worker, index: number): Step<OwnershipState>[] {
    const { asked } = worker;
    if (asked === null) return [];
    const who = `worker ${index + 1}`;
    const answered = { ...worker, asked: null };
    return [
      {
        label: `${who} gives up waiting for its ${asked.kind}`,
        next: withWorker(state, index, answered),
      },
      {
        label: `${who} has the answer to its ${asked.kind}`,
        next: withWorker(
          state,
          index,
          asked.kind === "claim"
            ? opened(
                rules.claimLetsGo ? letGo(answered, asked.shard) : answered,
                asked,
                halvesOf(state, asked.shard),
              )
            : renewed(answered, asked),
        ),
      },
    ];
  }

  function renewed(worker: Worker, { got, age }: Asked & { kind: "renewal" }): Worker {
    const left = Math.max(0, deadlineTicks - (rules.countsFromSending ? age : 0));
    let next: Worker = { ...worker, left };
    for (const shard of SHARDS) {
      const held = next.held[shard];
      if (held > 0 && held !== got[shard]) next = letGo(next, shard);
    }
    return next;
  }

  /** What the worker decides by itself, at any moment. What it sends then is under way for ever. */
  function closes(state: OwnershipState, worker: Worker, index: number): Step<OwnershipState>[] {
    const { held, open, sent } = worker;
    const steps: Step<OwnershipState>[] = [];
    const add = (label: string, next: Worker): void => {
      steps.push({
        label: `worker ${index + 1} ${label}`,
        next: withWorker(state, index, next),
      });
    };
    const remember = (kind: keyof Sent): Sent =>
      rules.namesEpochs && rules.staysClosed ? sent : { ...sent, [kind]: true };
    for (const shard of SHARDS) {
      const isStray = held[shard] === 0 && state.leases[shard].owner === index + 1;
      if (isStray && !rules.opensOnlyHeld) {
        add(`finds ${NAMES[shard]} its own in the database and opens it`, {
          ...opened(worker, { shard, epoch: 0 }, halvesOf(state, shard)),
        });
      }
      if (held[shard] === 0) continue;
      const closed = { ...letGo(worker, shard), sent: remember("release") };
      add(`closes ${NAMES[shard]} and sends its release`, closed);
    }
    if (!bounds.splits || held[0] === 0) return steps;
    if (!state.isSplit && open[1] === 0) {
      const closed = { ...worker, open: [open[0], null] as const, sent: remember("split") };
      add("closes the upper number and sends a split", closed);
    }
    if (state.isSplit && held[1] > 0) {
      const closed = { ...letGo(letGo(worker, 0), 1), sent: remember("merge") };
      add("closes both shards and sends a merge", closed);
    }
    if (!rules.staysClosed && sent.split && open[0] === 0 && open[1] === null) {
      add("waits for its split no longer, opens the upper number again", {
        ...worker,
        open: [0, 0],
      });
    }
    return steps;
  }

  /** Releases, splits and merges reach Postgres, soon or late. */
  function runs(state: OwnershipState, worker: Worker, index: number): Step<OwnershipState>[] {
    const who = `worker ${index + 1}`;
    const { held, open, asked, sent } = worker;
    const isOwner = (shard: Shard): boolean => state.leases[shard].owner === index + 1;
    /** Closed for good under this epoch: nobody opens what he has let go before he claims it again. */
    const isClosed = (shard: Shard): boolean =>
      held[shard] === 0 && !(asked?.kind === "claim" && asked.shard === shard);
    const isLate = (kind: keyof Sent): boolean => !rules.namesEpochs && sent[kind];
    const steps: Step<OwnershipState>[] = [];
    for (const shard of SHARDS) {
      if (!isOwner(shard)) continue;
      if (!isClosed(shard) && rules.closesFirst && !isLate("release")) continue;
      const lease = { owner: 0, epoch: state.leases[shard].epoch, left: 0 };
      steps.push({
        label: `${isClosed(shard) ? "the" : "a"} release of ${NAMES[shard]} by ${who} runs`,
        next: withLease(state, shard, lease),
      });
    }
    // What was released and not claimed again counts as the worker's.
    const isMine = (shard: Shard): boolean => isOwner(shard) || state.leases[shard].owner === 0;
    if (!bounds.splits || !isMine(0)) return steps;
    const isUpperClosed = isClosed(0) || (held[0] > 0 && open[1] !== 0);
    const maySplit = isUpperClosed || !rules.closesFirst || isLate("split");
    if (!state.isSplit && (maySplit || (!rules.staysClosed && sent.split))) {
      steps.push({ label: `the split by ${who} runs`, next: split(state) });
    }
    const areClosed = isClosed(0) && isClosed(1);
    const mayMerge = areClosed || !rules.closesFirst || isLate("merge");
    if (state.isSplit && isMine(1) && mayMerge) {
      steps.push({ label: `the merge by ${who} runs`, next: merge(state) });
    }
    return steps;
  }

  function split(state: OwnershipState): OwnershipState {
    const epoch = rules.splitKeepsEpoch ? state.leases[0].epoch : 0;
    return { ...state, isSplit: true, leases: [state.leases[0], { owner: 0, epoch, left: 0 }] };
  }

  function merge(state: OwnershipState): OwnershipState {
    const [lower, upper] = state.leases;
    const epoch = rules.mergeTakesGreater ? Math.max(lower.epoch, upper.epoch) : lower.epoch;
    return { ...state, isSplit: false, leases: [{ owner: 0, epoch, left: 0 }, FREE] };
  }
}

/**
 * One number of one shard, its fence and its stored credentials, as Postgres (READ COMMITTED) sees them step
 * by step. Time is left out on purpose: a lease may be taken over at any moment, and whatever was sent may
 * run at any later moment, its sender long gone. Whoever claims the lease raises the fence (an update of
 * the fence row), reads the credentials and then writes them again and again, each time with the check of
 * `FenceRules`.
 *
 * Owners are told apart by a serial number that grows with each claim and that the database does not
 * know: so the model also sees what happens if two of them have the same epoch.
 */
import type { Model, Step } from "./search.ts";

export type FenceCheck =
  /** What hold_fence does: lock the fence row FOR SHARE where the epoch is mine, then write, in one transaction. */
  | "for share"
  /** Write `where exists (select from number_fence where epoch = mine)`, one statement. */
  | "exists"
  /** Select the epoch, then write, in one transaction. */
  | "select"
  /** The weakest row lock: an update of the epoch does not wait for it. */
  | "for key share";

export type FenceRules = {
  check: FenceCheck;
  /** The new owner raises the fence before it reads. */
  raisesFirst: boolean;
  /** Reading the credentials asks for the epoch. */
  readChecks: boolean;
  /** A claim makes a new epoch. */
  newEpochs: boolean;
};

export const RULES: FenceRules = {
  check: "for share",
  raisesFirst: true,
  readChecks: true,
  newEpochs: true,
};

export type FenceBounds = {
  /** Owners at the same time, in their own belief. */
  workers: number;
  /** How often the lease is claimed. */
  claims: number;
  /** Statements and transactions under way at the same time. */
  underWay: number;
};

type Owner = { epoch: number; serial: number };
type Worker = Owner & { at: "claimed" | "raised" | "serving" };
/** `seen`: its snapshot shows the right epoch. `held`: it has its lock. `written`: not committed yet. */
type Write = Owner & { kind: "write"; at: "sent" | "seen" | "held" | "written" };
type Raise = Owner & { kind: "raise"; at: "sent" | "updated" };
type Work = Write | Raise;

export type FenceState = {
  lease: Owner;
  /** The committed epoch of the fence row. */
  fence: number;
  /** Whose write of the credentials is the committed one. */
  auth: Owner;
  /** The latest owner that has read them. */
  readBy: number;
  workers: Worker[];
  underWay: Work[];
};

const NOBODY: Owner = { epoch: 0, serial: 0 };

export function fenceModel(rules: FenceRules, bounds: FenceBounds): Model<FenceState> {
  return {
    initial: { lease: NOBODY, fence: 0, auth: NOBODY, readBy: 0, workers: [], underWay: [] },
    steps: (state) => [
      ...claims(state),
      ...state.workers.flatMap((worker) => workerSteps(state, worker)),
      ...state.underWay.flatMap((work) =>
        work.kind === "write" ? writeSteps(state, work) : raiseSteps(state, work),
      ),
    ],
    key: ({ lease, fence, auth, readBy, workers, underWay }) =>
      [
        [lease.epoch, lease.serial, fence, auth.epoch, auth.serial, readBy].join(),
        workers
          .map(({ at, epoch, serial }) => `${at}${epoch}.${serial}`)
          .toSorted()
          .join(),
        underWay
          .map(({ kind, at, epoch, serial }) => `${kind}${at}${epoch}.${serial}`)
          .toSorted()
          .join(),
      ].join("|"),
  };

  /** The lease was released or has run out; its former owner need not know. */
  function claims(state: FenceState): Step<FenceState>[] {
    const { lease, workers } = state;
    if (lease.serial === bounds.claims) return [];
    const epoch = rules.newEpochs || lease.epoch === 0 ? lease.epoch + 1 : lease.epoch;
    const claimed: Owner = { epoch, serial: lease.serial + 1 };
    const broken =
      rules.newEpochs && epoch <= lease.epoch ? "the epoch of a lease did not grow" : undefined;
    const steps: Step<FenceState>[] = [
      {
        label: `${name(claimed)} claims the lease; the answer is lost`,
        next: { ...state, lease: claimed },
        broken,
      },
    ];
    if (workers.length < bounds.workers) {
      steps.push({
        label: `${name(claimed)} claims the lease`,
        next: { ...state, lease: claimed, workers: [...workers, { ...claimed, at: "claimed" }] },
        broken,
      });
    }
    return steps;
  }

  function workerSteps(state: FenceState, worker: Worker): Step<FenceState>[] {
    const { epoch, serial } = worker;
    const becomes = (at: Worker["at"]): Worker[] =>
      replace<Worker>(state.workers, worker, { ...worker, at });
    const steps: Step<FenceState>[] = [
      {
        label: `${name(worker)} is gone; what it sent is still under way`,
        next: { ...state, workers: without(state.workers, worker) },
      },
    ];
    const mayRead = rules.raisesFirst ? worker.at === "raised" : worker.at === "claimed";
    if (mayRead) {
      const isFenced = rules.readChecks && rules.raisesFirst && state.fence !== epoch;
      steps.push(
        isFenced
          ? {
              label: `${name(worker)} reads the credentials and is fenced: it lets go`,
              next: { ...state, workers: without(state.workers, worker) },
            }
          : {
              label: `${name(worker)} reads the credentials: those of ${name(state.auth)}`,
              next: {
                ...state,
                readBy: Math.max(state.readBy, serial),
                workers: becomes("serving"),
              },
            },
      );
    }
    if (state.underWay.length === bounds.underWay) return steps;
    const send = (work: Work, label: string): void => {
      steps.push({ label, next: { ...state, underWay: [...state.underWay, work] } });
    };
    const isRaising = state.underWay.some(
      (work) => work.kind === "raise" && work.serial === serial,
    );
    const mustRaise = worker.at === "claimed" || (!rules.raisesFirst && state.fence < epoch);
    if (mustRaise && !isRaising) {
      send({ kind: "raise", at: "sent", epoch, serial }, `${name(worker)} sends: raise the fence`);
    }
    if (worker.at === "serving") {
      send({ kind: "write", at: "sent", epoch, serial }, `${name(worker)} sends: a write`);
    }
    return steps;
  }

  function raiseSteps(state: FenceState, raise: Raise): Step<FenceState>[] {
    const rest = without(state.underWay, raise);
    const steps: Step<FenceState>[] = [
      { label: `the raise of ${name(raise)} fails`, next: { ...state, underWay: rest } },
    ];
    /** With the answer, and with the answer lost: then the owner goes on waiting, and asks again. */
    const done = (next: FenceState, label: string): void => {
      steps.push({ label: `${label}; the answer is lost`, next });
      const waiting = next.workers.find(
        (one) => one.serial === raise.serial && one.at === "claimed",
      );
      if (waiting) {
        const workers = replace<Worker>(next.workers, waiting, { ...waiting, at: "raised" });
        steps.push({ label, next: { ...next, workers } });
      }
    };
    if (raise.at === "updated") {
      done({ ...state, fence: raise.epoch, underWay: rest }, `the raise of ${name(raise)} commits`);
      return steps;
    }
    const isLocked = rest.some(
      (work) =>
        (work.kind === "raise" && work.at === "updated") ||
        (work.kind === "write" && rules.check === "for share" && holdsLock(work)),
    );
    if (isLocked) return steps;
    if (state.fence >= raise.epoch) {
      // `where epoch < mine`: somebody newer was here.
      done({ ...state, underWay: rest }, `the raise of ${name(raise)} finds nothing to raise`);
    } else {
      const updated: Raise = { ...raise, at: "updated" };
      steps.push({
        label: `the raise of ${name(raise)} updates the fence row`,
        next: { ...state, underWay: replace(state.underWay, raise, updated) },
      });
    }
    return steps;
  }

  function writeSteps(state: FenceState, write: Write): Step<FenceState>[] {
    const rest = without(state.underWay, write);
    const becomes = (at: Write["at"], what: string): Step<FenceState> => ({
      label: `the write of ${name(write)} ${what}`,
      next: { ...state, underWay: replace(state.underWay, write, { ...write, at }) },
    });
    const ends = (what: string): Step<FenceState> => ({
      label: `the write of ${name(write)} ${what}`,
      next: { ...state, underWay: rest },
    });
    const isMine = state.fence === write.epoch;
    // Two writers of the same row: the second one waits.
    const isRowFree = !rest.some((work) => work.kind === "write" && work.at === "written");
    const isRaising = rest.some((work) => work.kind === "raise" && work.at === "updated");
    const aborted = ends("is rolled back");
    switch (write.at) {
      case "sent":
        if (!isMine) return [ends("finds another epoch: fenced")];
        switch (rules.check) {
          case "for share":
          case "select":
            return [becomes("seen", "sees its epoch"), aborted];
          case "for key share":
            return [becomes("held", "locks the fence row, for key share"), aborted];
          case "exists":
            return isRowFree
              ? [becomes("written", "sees its epoch and writes, in one statement"), aborted]
              : [becomes("seen", "sees its epoch and waits for the row"), aborted];
        }
        break;
      case "seen":
        if (rules.check !== "for share") {
          return isRowFree ? [becomes("written", "writes"), aborted] : [aborted];
        }
        // The lock waits for an update of the row, and then judges the row as it is.
        if (isRaising) return [aborted];
        return isMine
          ? [becomes("held", "locks the fence row, for share"), aborted]
          : [ends("finds the fence raised when it has waited: fenced")];
      case "held":
        return isRowFree ? [becomes("written", "writes"), aborted] : [aborted];
      case "written": {
        const { epoch, serial } = write;
        const step = ends("commits");
        return [
          {
            ...step,
            next: { ...step.next, auth: { epoch, serial } },
            broken: judgeCommit(state, write),
          },
          aborted,
        ];
      }
    }
  }
}

/** The promises about an accepted write. */
function judgeCommit(state: FenceState, write: Write): string | undefined {
  if (write.serial < state.readBy) {
    return `a write of ${name(write)} was accepted after owner ${state.readBy} had read the credentials`;
  }
  if (write.serial < state.auth.serial || write.epoch < state.auth.epoch) {
    return `a write of ${name(write)} was accepted after one of ${name(state.auth)}`;
  }
  return undefined;
}

function holdsLock(write: Write): boolean {
  return write.at === "held" || write.at === "written";
}

function name({ epoch, serial }: Owner): string {
  return serial === 0 ? "nobody" : `owner ${serial} (epoch ${epoch})`;
}

function without<T>(list: readonly T[], one: T): T[] {
  return list.filter((entry) => entry !== one);
}

function replace<T>(list: readonly T[], one: T, by: T): T[] {
  return list.map((entry) => (entry === one ? by : entry));
}

/** Every number this worker owns, one actor each: made when a shard is claimed, ended when it is lost. */
import { ANY_SHARD_POKE } from "@manyline/contracts";
import {
  adoptNumbers,
  changedNumbers,
  claimCommands,
  endedBlocks,
  finishCommand,
  listOwnedNumbers,
  markBlockEnded,
  ownedNumberNos,
  raiseFences,
  type OwnedNumber,
} from "@manyline/db";
import type { BusSubscription } from "@manyline/runtime";
import type { WorkerContext } from "../numbers/context.ts";
import { NumberActor } from "../numbers/number-actor.ts";
import { SerialQueue } from "../numbers/serial-queue.ts";

const POLL_MS = 2_000;
const COMMANDS_AT_ONCE = 100;
/** Clocks of two connections may differ by a transaction's length. */
const CHANGE_OVERLAP_MS = 5_000;

export class Fleet {
  readonly #context: WorkerContext;
  readonly #actors = new Map<number, NumberActor>();
  readonly #queue = new SerialQueue();
  #shards: () => ReadonlyMap<number, number>;
  #timer: NodeJS.Timeout | undefined;
  #subscription: BusSubscription | undefined;
  #changedSince = new Date();
  readonly #telling = new Set<number>();
  #isPolling = false;
  #pollAgain = false;

  constructor(context: WorkerContext, shards: () => ReadonlyMap<number, number>) {
    this.#context = context;
    this.#shards = shards;
  }

  get size(): number {
    return this.#actors.size;
  }
  get openCount(): number {
    let open = 0;
    for (const actor of this.#actors.values()) if (actor.isOpen) open += 1;
    return open;
  }

  start(): void {
    this.#subscription = this.#context.bus.subscribe(ANY_SHARD_POKE, ({ subject }) => {
      if (this.#shards().has(Number(subject.split(".")[2]))) this.poll();
    });
    this.#timer = setInterval(() => this.poll(), POLL_MS);
  }

  /** Raises the fences of the shard's numbers before anything of them is read, then takes them over. */
  claimed(shardId: number, epoch: number): void {
    void this.#queue
      .add(async () => {
        await raiseFences(this.#context.db, shardId, epoch);
        const numbers = await listOwnedNumbers(this.#context.db, this.#context.workerId, shardId);
        for (const number of numbers) this.#adopt(number);
        this.#context.reports.shardClaimed(shardId, epoch, numbers.length);
      })
      .catch((error: unknown) => {
        // The next poll adopts what is missing: its fence is still below the lease's epoch.
        this.#context.logger.error(
          { event: "shard.claim_failed", shard: shardId, err: error },
          "claim failed",
        );
      });
    this.poll();
  }

  lost(shardId: number): void {
    for (const [numberNo, actor] of this.#actors) {
      if (actor.number.shardId === shardId) this.drop(numberNo);
    }
    this.#context.reports.shardLost(shardId);
  }

  drop(numberNo: number): void {
    this.#actors.get(numberNo)?.drop();
    this.#actors.delete(numberNo);
  }

  dropAll(): void {
    for (const numberNo of this.#actors.keys()) this.drop(numberNo);
  }

  blocked(companyNo: number, until: Date): void {
    for (const actor of this.#actors.values()) {
      if (actor.number.companyNo === companyNo) actor.blocked(until);
    }
  }

  /** Looks for commands, new, changed and removed numbers. Joined by calls that come while it runs. */
  poll(): void {
    if (this.#isPolling) {
      this.#pollAgain = true;
      return;
    }
    this.#isPolling = true;
    void this.#queue
      .add(() => this.#poll())
      .catch((error: unknown) => {
        this.#context.logger.warn({ event: "fleet.poll_failed", err: error }, "polling failed");
      })
      .finally(() => {
        this.#isPolling = false;
        if (this.#pollAgain) {
          this.#pollAgain = false;
          this.poll();
        }
      });
  }

  /** Takes no more work and hands every number over. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#subscription?.close();
    await this.#queue.idle();
    await Promise.all([...this.#actors.values()].map((actor) => actor.release()));
    this.#actors.clear();
  }

  #adopt(number: OwnedNumber): void {
    const known = this.#actors.get(number.numberNo);
    if (known?.number.epoch === number.epoch) return;
    known?.drop();
    const actor = new NumberActor(this.#context, number);
    this.#actors.set(number.numberNo, actor);
    actor.start();
  }

  async #poll(): Promise<void> {
    if (this.#context.isQuiet()) return;
    const { db, workerId } = this.#context;
    const startedAt = this.#context.clock.now();
    for (const number of await adoptNumbers(db, workerId)) this.#adopt(number);
    await this.#runCommands();
    const since = new Date(this.#changedSince.getTime() - CHANGE_OVERLAP_MS);
    for (const number of await changedNumbers(db, workerId, since)) {
      const actor = this.#actors.get(number.numberNo);
      if (actor && isChanged(actor.number, number)) actor.changed(number);
    }
    this.#changedSince = startedAt;
    const owned = new Set(await ownedNumberNos(db, workerId));
    for (const numberNo of this.#actors.keys()) if (!owned.has(numberNo)) this.drop(numberNo);
    for (const companyNo of await endedBlocks(db, workerId)) this.#tellUnblocked(companyNo);
  }

  /** Told first and marked afterwards: a crash in between tells it twice, never not at all. */
  #tellUnblocked(companyNo: number): void {
    if (this.#telling.has(companyNo)) return;
    this.#telling.add(companyNo);
    const actors = [...this.#actors.values()].filter((one) => one.number.companyNo === companyNo);
    void Promise.all(actors.map((actor) => actor.unblocked()))
      .then(() => markBlockEnded(this.#context.db, companyNo))
      .catch((error: unknown) => {
        this.#context.logger.warn(
          { event: "unblock.failed", err: error },
          "end of a block not told",
        );
      })
      .finally(() => this.#telling.delete(companyNo));
  }

  async #runCommands(): Promise<void> {
    const { db, workerId } = this.#context;
    for (;;) {
      const shardIds = [...this.#shards().keys()];
      if (shardIds.length === 0) return;
      const commands = await claimCommands(db, { workerId, shardIds }, COMMANDS_AT_ONCE);
      for (const command of commands) {
        const actor = this.#actors.get(command.numberNo);
        if (actor) actor.command(command);
        else
          await finishCommand(db, command.commandId, {
            state: "dead",
            reason: "the number is gone",
          });
      }
      if (commands.length < COMMANDS_AT_ONCE) return;
    }
  }
}

/** By value, not by time: of two changes at once the earlier one may become visible later. */
function isChanged(known: OwnedNumber, now: OwnedNumber): boolean {
  return (["phone", "isPrimary", "desiredState", "companyPhone", "companyEnabled"] as const).some(
    (name) => known[name] !== now[name],
  );
}

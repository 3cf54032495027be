/** Every number this worker owns, one actor each: made when a shard is claimed, ended when it is let go. */
import { ANY_SHARD_POKE, parseLookPayload, parseSendPayload } from "@manyline/contracts";
import {
  adoptNumbers,
  changedNumbers,
  endedBlocks,
  FencedError,
  getOwnedNumber,
  giveUpCommand,
  listOwnedNumbers,
  markBlockEnded,
  markShardOpen,
  lostSends,
  overdueSends,
  ownedNumberNos,
  raiseFreeFences,
  touchSeen,
  type OwnedNumber,
  type WorkerReport,
} from "@manyline/db";
import type { BusSubscription } from "@manyline/runtime";
import type { WorkerContext } from "../numbers/context.ts";
import { NumberActor } from "../numbers/number-actor.ts";
import { SerialQueue } from "../numbers/serial-queue.ts";
import { CommandClaims } from "./command-claims.ts";
import { Recycler } from "./recycler.ts";
import { SendDispatcher } from "./send-dispatcher.ts";

const POLL_MS = 2_000;
/** What was removed, and what should be served and is not, is looked for at every fifth poll. */
const SWEEP_EVERY = 5;
const SEEN_EVERY_MS = 60_000;
/** Clocks of two connections may differ by a transaction's length. */
const CHANGE_OVERLAP_MS = 5_000;
/** A provider that cannot be asked has so long to tell of its own what became of a message. */
const UNKNOWN_MS = 15 * 60_000;
/** Messages that expire at one poll. */
const EXPIRE_AT_ONCE = 500;

export class Fleet {
  readonly #context: WorkerContext;
  readonly #actors = new Map<number, NumberActor>();
  readonly #queue = new SerialQueue();
  readonly #shards: () => ReadonlyMap<number, number>;
  /** Shards whose numbers are being taken over. */
  readonly #serving = new Map<number, Promise<void>>();
  /** Shards on their way out: nothing of them is begun any more. */
  readonly #leaving = new Set<number>();
  #timers: NodeJS.Timeout[] = [];
  #subscription: BusSubscription | undefined;
  #changedSince = new Date();
  #polls = 0;
  readonly #telling = new Set<number>();
  readonly #commands: CommandClaims;
  readonly #recycler: Recycler;
  readonly #sends: SendDispatcher;
  #isPolling = false;
  #pollAgain = false;

  constructor(context: WorkerContext, shards: () => ReadonlyMap<number, number>) {
    this.#context = context;
    this.#shards = shards;
    this.#commands = new CommandClaims(context);
    this.#recycler = new Recycler(context);
    this.#sends = new SendDispatcher(context, (numberNo) => this.#actors.get(numberNo));
  }

  get size(): number {
    return this.#actors.size;
  }
  get openCount(): number {
    let open = 0;
    for (const actor of this.#actors.values()) if (actor.isOpen) open += 1;
    return open;
  }

  /** What operators see of the worker. */
  report(): WorkerReport {
    const { inFlight, waiting } = this.#context.opener;
    return { numbers: this.size, connected: this.openCount, opening: inFlight, waiting };
  }

  /** By shard: 1 and one more for each number that should be open. */
  weights(): Map<number, number> {
    const weights = new Map<number, number>();
    for (const shardId of this.#shards().keys()) weights.set(shardId, 1);
    for (const actor of this.#actors.values()) {
      const { shardId } = actor.number;
      const weight = weights.get(shardId);
      if (weight !== undefined && actor.shouldBeOpen) weights.set(shardId, weight + 1);
    }
    return weights;
  }

  start(): void {
    this.#subscription = this.#context.bus.subscribe(ANY_SHARD_POKE, ({ subject, data }) => {
      if (!this.#shards().has(Number(subject.split(".")[2]))) return;
      const payload = Buffer.from(data).toString();
      const [sends, looks] = [parseSendPayload(payload), parseLookPayload(payload)];
      if (sends !== undefined) this.askSends(sends);
      else if (looks !== undefined) this.#actors.get(looks)?.looked();
      else this.poll();
    });
    this.#timers = [
      setInterval(() => this.poll(), POLL_MS),
      setInterval(() => this.#noteSeen(), SEEN_EVERY_MS),
    ];
  }

  /** Raises the fences of the shard's numbers before anything of them is read, then takes them over. */
  claimed(shardId: number, epoch: number): void {
    this.#leaving.delete(shardId);
    // Beside each other: several shards may come at once, and their numbers are without a connection meanwhile.
    const serving = this.#serve(shardId, epoch).catch((error: unknown) => {
      // A later sweep finds what is not served.
      this.#context.logger.error(
        { event: "shard.claim_failed", shard: shardId, err: error },
        "claim failed",
      );
    });
    this.#serving.set(shardId, serving);
    void serving.then(() => {
      if (this.#serving.get(shardId) === serving) this.#serving.delete(shardId);
      this.poll();
      return undefined;
    });
  }

  async #serve(shardId: number, epoch: number): Promise<void> {
    await raiseFreeFences(this.#context.db, shardId, epoch);
    const actors = await this.#adoptShard(shardId);
    this.#context.reports.shardClaimed(shardId, epoch, actors.length);
    void this.#tellOpen(shardId, epoch, actors);
  }

  lost(shardId: number): void {
    for (const [numberNo, actor] of this.#actors) {
      if (actor.number.shardId === shardId) this.drop(numberNo);
    }
    this.#context.reports.shardLost(shardId);
  }

  /**
   * Closes the shard's numbers, or only those of companies from `fromCompanyNo` on, and begins nothing new in
   * it. Returns how many were closed.
   */
  async close(shardId: number, fromCompanyNo = 0): Promise<number> {
    this.#leaving.add(shardId);
    await this.#serving.get(shardId);
    const actors = await this.#queue.add(() =>
      [...this.#actors.values()].filter(
        ({ number }) => number.shardId === shardId && number.companyNo >= fromCompanyNo,
      ),
    );
    await Promise.all(actors.map((actor) => actor.release()));
    for (const actor of actors) this.#forget(actor);
    return actors.length;
  }

  /** The shard stays after all: whatever of it is still ours is served again. */
  reopen(shardId: number): void {
    void this.#queue
      .add(async () => {
        // Not earlier: a poll in the queue may have read what has moved away since.
        this.#leaving.delete(shardId);
        if (this.#shards().has(shardId)) await this.#adoptShard(shardId);
      })
      .catch((error: unknown) => {
        this.#context.logger.warn(
          { event: "shard.reopen_failed", shard: shardId, err: error },
          "reopen",
        );
      });
  }

  /** Quiet is over: what was held back goes on. */
  heard(): void {
    for (const actor of this.#actors.values()) actor.heard();
  }

  /** The number may have something to send. */
  askSends(numberNo: number): void {
    this.#sends.ask(numberNo);
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

  /** Takes no more work and lets go of what is left. */
  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#sends.stop();
    await this.#subscription?.close();
    await this.#queue.idle();
    await Promise.all([...this.#actors.values()].map((actor) => actor.release()));
    this.#actors.clear();
  }

  async #adoptShard(shardId: number): Promise<NumberActor[]> {
    const { db } = this.#context;
    const workerId = this.#context.workerId();
    const numbers = await listOwnedNumbers(db, workerId, shardId);
    return numbers.flatMap((number) => this.#adopt(number) ?? []);
  }

  async #adoptOne(numberNo: number): Promise<NumberActor | undefined> {
    const { db } = this.#context;
    const workerId = this.#context.workerId();
    const number = await getOwnedNumber(db, workerId, numberNo);
    return number && this.#adopt(number);
  }

  #adopt(number: OwnedNumber): NumberActor | undefined {
    // Postgres may name a shard whose claim was never answered here: it is given back, not served.
    const isHeld = this.#shards().get(number.shardId) === number.epoch;
    if (!isHeld || this.#leaving.has(number.shardId)) return undefined;
    const known = this.#actors.get(number.numberNo);
    if (known?.number.epoch === number.epoch) return known;
    known?.drop();
    const actor = new NumberActor(this.#context, number);
    this.#actors.set(number.numberNo, actor);
    actor.start();
    return actor;
  }

  #forget(actor: NumberActor): void {
    const { numberNo } = actor.number;
    if (this.#actors.get(numberNo) === actor) this.#actors.delete(numberNo);
  }

  /** Whoever hands shards over waits for this before the next one. */
  async #tellOpen(shardId: number, epoch: number, actors: readonly NumberActor[]): Promise<void> {
    await Promise.all(actors.map(({ served }) => served));
    if (this.#shards().get(shardId) !== epoch) return;
    try {
      await markShardOpen(this.#context.db, this.#context.workerId(), { shardId, epoch });
    } catch (error) {
      this.#context.logger.warn(
        { event: "shard.not_told", shard: shardId, err: error },
        "not told",
      );
    }
  }

  async #poll(): Promise<void> {
    if (this.#context.isQuiet()) return;
    const { db } = this.#context;
    const workerId = this.#context.workerId();
    const startedAt = this.#context.clock.now();
    for (const number of await adoptNumbers(db, workerId)) this.#adopt(number);
    await this.#runCommands();
    this.#askAllSends();
    await this.#expireSends();
    const since = new Date(this.#changedSince.getTime() - CHANGE_OVERLAP_MS);
    for (const number of await changedNumbers(db, workerId, since)) {
      const actor = this.#actors.get(number.numberNo);
      if (actor && isChanged(actor.number, number)) actor.changed(number);
    }
    this.#changedSince = startedAt;
    this.#recycler.look(this.#staying());
    this.#polls += 1;
    if (this.#polls % SWEEP_EVERY === 0) {
      await this.#sweep();
      await this.#giveUpSends();
    }
    for (const companyNo of await endedBlocks(db, workerId)) this.#tellUnblocked(companyNo);
  }

  /** Numbers that are not about to be handed over. */
  *#staying(): Iterable<NumberActor> {
    for (const actor of this.#actors.values()) {
      if (!this.#leaving.has(actor.number.shardId)) yield actor;
    }
  }

  /** Numbers that were removed are let go; shards with numbers that nobody serves are adopted again. */
  async #sweep(): Promise<void> {
    const { db } = this.#context;
    const workerId = this.#context.workerId();
    const owned = await ownedNumberNos(db, workerId);
    const isOwned = new Set(owned.map(({ numberNo }) => numberNo));
    for (const numberNo of this.#actors.keys()) if (!isOwned.has(numberNo)) this.drop(numberNo);
    const unserved = owned.filter(({ numberNo }) => !this.#actors.has(numberNo));
    for (const shardId of new Set(unserved.map((one) => one.shardId))) {
      const epoch = this.#shards().get(shardId);
      if (epoch === undefined || this.#leaving.has(shardId)) continue;
      await raiseFreeFences(db, shardId, epoch);
      await this.#adoptShard(shardId);
    }
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
    if (this.#polls % SWEEP_EVERY === 0) this.#commands.noteDoubt(0);
    for (let isMore = true; isMore;) {
      const shardIds = [...this.#shards().keys()].filter((shardId) => !this.#leaving.has(shardId));
      if (shardIds.length === 0) return;
      isMore = await this.#commands.run(shardIds, async (command) => {
        const actor =
          this.#actors.get(command.numberNo) ?? (await this.#adoptOne(command.numberNo));
        if (actor) actor.command(command);
        else {
          await giveUpCommand(this.#context.db, command, "the number is gone").catch(ignoreFenced);
        }
      });
    }
  }

  /** Whatever is claimed and not known to be is found as well, every now and then. */
  #askAllSends(): void {
    const isSweep = this.#polls % SWEEP_EVERY === 0;
    for (const [numberNo, { isOpen, outbox }] of this.#actors) {
      if (!isOpen) continue;
      if (isSweep) outbox.noteDoubt(0);
      this.#sends.ask(numberNo);
    }
  }

  /** Whether a number is connected does not matter: what waited too long is not sent any more. */
  async #expireSends(): Promise<void> {
    const owner = { workerId: this.#context.workerId(), shardIds: [...this.#shards().keys()] };
    const overdue = await overdueSends(this.#context.db, owner, EXPIRE_AT_ONCE);
    for (const [numberNo, messages] of Map.groupBy(overdue, (one) => one.numberNo)) {
      this.#actors.get(numberNo)?.expire(messages);
    }
  }

  /** Of these nobody will know any more whether they were sent. */
  async #giveUpSends(): Promise<void> {
    const { db, clock } = this.#context;
    const owner = { workerId: this.#context.workerId(), shardIds: [...this.#shards().keys()] };
    const lost = await lostSends(db, owner, clock.scaled(UNKNOWN_MS), EXPIRE_AT_ONCE);
    for (const [numberNo, messages] of Map.groupBy(lost, (one) => one.numberNo)) {
      this.#actors.get(numberNo)?.giveUp(messages);
    }
  }

  /** Last seen, of everything that is connected, in one statement. */
  #noteSeen(): void {
    if (this.#context.isQuiet()) return;
    const open = [...this.#actors.values()].filter(({ isOpen }) => isOpen);
    void touchSeen(
      this.#context.db,
      open.map(({ fence }) => fence),
    ).catch((error: unknown) => {
      this.#context.logger.warn({ event: "fleet.seen_failed", err: error }, "last seen not stored");
    });
  }
}

/** Whose command it is by now deals with it. */
function ignoreFenced(error: unknown): void {
  if (!(error instanceof FencedError)) throw error;
}

/** What a person changes and the actor goes by. */
const FOLLOWED = [
  "phone",
  "isPrimary",
  "desiredState",
  "companyPhone",
  "companyEnabled",
  "groupMessages",
] as const;

/** By value, not by time: of two changes at once the earlier one may become visible later. */
function isChanged(known: OwnedNumber, now: OwnedNumber): boolean {
  // Another token shows in nothing but the time.
  const isTouched = now.provider === "meta" && now.updatedAt > known.updatedAt;
  return isTouched || FOLLOWED.some((name) => known[name] !== now[name]);
}

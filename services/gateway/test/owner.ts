/**
 * Plays the owner of all numbers: what a session worker does, at the level of the database, which is the
 * wire between the two. It knows no WhatsApp; each test says what becomes of a command.
 */
import { commandDonePoke, makeEvent, newAttemptId } from "@manyline/contracts";
import type {
  AttemptId,
  EventData,
  EventDefinition,
  CompanyId,
  NumberId,
} from "@manyline/contracts";
import {
  FencedError,
  adoptNumbers,
  appendEvents,
  claimCommands,
  claimSends,
  claimShards,
  commitInbound,
  expireCommands,
  fencedTransaction,
  finishCommand,
  getOwnedNumber,
  insertAttempt,
  mergeShards,
  noteStatuses,
  openDatabase,
  registerWorker,
  releaseShards,
  removeWorker,
  renewLeases,
  setNumberStatus,
  splitShard,
  updateAttempt,
  writeAuth,
} from "@manyline/db";
import type {
  AttemptPatch,
  CommandOutcome,
  CommandRow,
  Database,
  Fence,
  InboundItem,
  InboundSource,
  OwnedNumber,
  OwnedShard,
  Send,
  ShardWish,
  Status,
  StoredEvent,
  Tx,
  WorkerReport,
} from "@manyline/db";
import type { World } from "./support.ts";

export type Handler = (
  command: CommandRow,
  owner: Owner,
) => Promise<CommandOutcome | undefined> | CommandOutcome | undefined;

const NO_SESSIONS: WorkerReport = { numbers: 0, connected: 0, opening: 0, waiting: 0 };

/** Undefined as an outcome: the command is left as it is, as a worker that hangs would. */
export class Owner implements AsyncDisposable {
  readonly #world: World;
  readonly #db: Database;
  readonly #host: string;
  readonly workerId: string;
  readonly commands: CommandRow[] = [];
  handler: Handler = () => ({ state: "failed", error: { code: "INTERNAL" } });
  /** What it tells of itself with every renewal. */
  report: WorkerReport = NO_SESSIONS;
  /** It reads the operator's wishes and carries none out. */
  isIdle = false;
  #shardIds: number[] = [];
  #isDraining = false;
  #loop: Promise<void> | undefined;
  #isStopping = false;

  constructor(world: World, host = "test") {
    this.#world = world;
    this.#host = host;
    this.workerId = `${host}-${process.pid}-${Math.random().toString(36).slice(2)}`;
    this.#db = openDatabase({
      url: world.database.urls.worker,
      role: "worker",
      applicationName: "test-owner",
    });
  }

  /** Takes all shards there are and begins to carry out commands. */
  async start(handler?: Handler): Promise<this> {
    if (handler) this.handler = handler;
    const identity = { workerId: this.workerId, host: this.#host, version: "test" };
    await registerWorker(this.#db, { ...identity, generation: 1, capacity: 10 });
    await this.#adopt();
    this.#loop = this.#run();
    return this;
  }

  async #adopt(): Promise<void> {
    const limits = { maxWeight: Number.POSITIVE_INFINITY, limit: 100, mayTakeExpired: true };
    if (!this.#isDraining) await claimShards(this.#db, this.workerId, limits);
    const { shards, isDrainAsked } = await renewLeases(this.#db, this.workerId, {
      draining: this.#isDraining,
      report: this.report,
      weights: new Map(),
    });
    this.#isDraining = isDrainAsked;
    for (const shard of shards)
      if (shard.wish && !this.isIdle) await this.#fulfil(shard, shard.wish, shards);
    if (isDrainAsked) await releaseShards(this.#db, this.workerId);
    this.#shardIds = isDrainAsked ? [] : shards.map(({ shardId }) => shardId);
    await adoptNumbers(this.#db, this.workerId);
  }

  async #fulfil(
    { shardId, epoch }: OwnedShard,
    wish: ShardWish,
    shards: readonly OwnedShard[],
  ): Promise<void> {
    const { workerId } = this;
    const own = { workerId, shardId, epoch };
    if (wish.kind === "release") await releaseShards(this.#db, workerId, [own]);
    else if (wish.kind === "split") await splitShard(this.#db, { ...own, at: wish.at });
    else {
      const upper = shards.find((shard) => shard.shardId === wish.upper);
      if (upper) await mergeShards(this.#db, { ...own, upperEpoch: upper.epoch });
    }
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      await this.#adopt();
      const owner = { workerId: this.workerId, shardIds: this.#shardIds };
      const limits = { limit: 1, perNumber: 1 };
      for (const command of await claimCommands(this.#db, owner, limits)) {
        this.commands.push(command);
        await this.#carryOut(command);
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
  }

  async #carryOut(command: CommandRow): Promise<void> {
    const outcome = await this.handler(command, this);
    if (!outcome) return;
    try {
      await this.fenced(command.numberNo, (tx) => finishCommand(tx, command.commandId, outcome));
    } catch (error) {
      if (!(error instanceof FencedError)) throw error;
    }
    this.#world.deps.bus.poke(commandDonePoke(command.commandId));
  }

  /** What housekeeping does with commands past their deadline. */
  async expire(): Promise<void> {
    await expireCommands(this.#db);
  }

  /** Gives up its shards, as a worker that stops. */
  async stop(): Promise<void> {
    if (this.#isStopping) return;
    this.#isStopping = true;
    await this.#loop;
    await releaseShards(this.#db, this.workerId);
    await removeWorker(this.#db, this.workerId);
    await this.#db.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async number(numberNo: number): Promise<OwnedNumber> {
    const number = await getOwnedNumber(this.#db, this.workerId, numberNo);
    if (!number) throw new Error("the number is not owned");
    return number;
  }

  async fenced<T>(
    numberNo: number,
    work: (tx: Tx, fence: Fence, number: OwnedNumber) => Promise<T>,
  ): Promise<T> {
    const number = await this.number(numberNo);
    const fence = { companyNo: number.companyNo, numberNo, epoch: number.epoch };
    return fencedTransaction(this.#db, fence, (tx) => work(tx, fence, number));
  }

  /** Stores credentials, as a successful pairing does. */
  async link(numberNo: number, phone: string): Promise<void> {
    const { companyNo, epoch } = await this.number(numberNo);
    await writeAuth(
      this.#db,
      this.#world.database.keyring,
      { companyNo, numberNo, epoch },
      {
        creds: Buffer.from("{}"),
      },
    );
    await this.fenced(numberNo, (tx, fence) =>
      setNumberStatus(tx, fence, {
        status: "connected",
        reason: "open",
        since: new Date(),
        phone,
        lastConnectedAt: new Date(),
      }),
    );
  }

  /** Commits what came in, and publishes it as the relay would. */
  async receive(numberNo: number, ...items: InboundItem[]): Promise<StoredEvent[]> {
    return this.#publish(await this.store(numberNo, ...items));
  }

  /** Commits what came in, and leaves it to others to publish it. */
  async store(numberNo: number, ...items: InboundItem[]): Promise<StoredEvent[]> {
    const source = await this.#source(numberNo);
    const { keyring } = this.#world.database;
    const { events } = await commitInbound(this.#db, keyring, source, items);
    return events;
  }

  /** What waits to be sent, each claimed as by an owner that is connected. */
  async claim(numberNo: number, room = 10): Promise<Send[]> {
    const { fence } = await this.#source(numberNo);
    return claimSends(this.#db, [{ fence, room }], room);
  }

  /** Notes what became of sent messages, and publishes it. */
  async note(numberNo: number, ...statuses: Status[]): Promise<StoredEvent[]> {
    return this.#publish(await noteStatuses(this.#db, await this.#source(numberNo), statuses));
  }

  async #source(numberNo: number): Promise<InboundSource> {
    const { companyNo, companyId, numberId, epoch, provider, phone } = await this.number(numberNo);
    return {
      fence: { companyNo, numberNo, epoch },
      companyId: companyId as CompanyId,
      numberId: numberId as NumberId,
      provider,
      phone,
      service: "session-worker",
    };
  }

  #publish(events: StoredEvent[]): StoredEvent[] {
    for (const { natsSubject, envelope } of events) {
      this.#world.deps.bus.poke(natsSubject, JSON.stringify(envelope));
    }
    return events;
  }

  async startAttempt(
    numberNo: number,
    method: "qr" | "code",
    phone: string | null = null,
  ): Promise<AttemptId> {
    const attemptId = newAttemptId();
    await this.fenced(numberNo, (tx, fence) =>
      insertAttempt(tx, fence, { attemptId, method, state: "starting", phone, max: 3 }),
    );
    return attemptId;
  }

  async changeAttempt(numberNo: number, attemptId: string, patch: AttemptPatch): Promise<void> {
    await this.fenced(numberNo, (tx, fence) =>
      updateAttempt(tx, this.#world.database.keyring, fence, attemptId, patch),
    );
  }

  /** Commits an event of the number; publishes it as the relay would, unless told not to. */
  async emit<Definition extends EventDefinition>(
    numberNo: number,
    definition: Definition,
    data: EventData<Definition>,
    isPublished = true,
  ): Promise<StoredEvent> {
    const [stored] = await this.fenced(numberNo, (tx, _fence, number) => {
      const companyId = number.companyId as CompanyId;
      const event = makeEvent(
        definition,
        { companyId, numberId: number.numberId as NumberId },
        data,
        { service: "session-worker", at: new Date() },
      );
      return appendEvents(tx, [{ companyNo: number.companyNo, numberNo, event }]);
    });
    if (!stored) throw new Error("no event was stored");
    if (isPublished) this.#world.deps.bus.poke(stored.natsSubject, JSON.stringify(stored.envelope));
    return stored;
  }
}

/** Numbers by their outer id. */
export async function numberNoOf(world: World, numberId: string): Promise<number> {
  const row = await world.deps.platformDb
    .selectFrom("numbers")
    .select("numberNo")
    .where("numberId", "=", numberId)
    .executeTakeFirstOrThrow();
  return row.numberNo;
}

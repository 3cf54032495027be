/**
 * Everything a number's owner writes goes through here: one fenced transaction that commits the facts
 * together with their events, then hands the events to the relay.
 */
import {
  eventDefinition,
  makeEvent,
  SESSION_REASONS,
  type EventData,
  type EventDefinition,
  type OutgoingEvent,
  type SessionReason,
  type SessionStatus,
  commandDonePoke,
  type CompanyId,
  type ErrorCode,
  type ErrorFacts,
  type NumberId,
  type Phone,
} from "@manyline/contracts";
import {
  appendEvents,
  FencedError,
  fencedTransaction,
  finishCommand,
  isUnavailable,
  lockStatus,
  setNumberStatus,
  type Fence,
  type HealthChange,
  type OwnedNumber,
  type StatusChange,
  type StoredStatus,
  type Transaction,
} from "@manyline/db";
import { currentTraceparent } from "@manyline/runtime";
import type { WorkerContext } from "./context.ts";

/** What happens inside one commit. */
export type Entry = {
  tx: Transaction;
  emit<Definition extends EventDefinition>(
    definition: Definition,
    data: EventData<Definition>,
  ): void;
  /** Changes status or reason; emits session.* when either differs. */
  setStatus(status: SessionStatus, reason: SessionReason, facts?: StatusFacts): Promise<void>;
  /** Events that were made by what was done in this transaction. */
  tell(events: readonly OutgoingEvent[]): void;
  /** Reads what others have said of the number's status, and holds its row until the end. */
  refresh(): Promise<void>;
  /** Gives a command its result; whoever waits for it is poked after the commit. */
  finish(commandId: string, outcome: CommandOutcome): Promise<void>;
};
export type CommandOutcome =
  | { state: "done"; result: object }
  | { state: "failed"; error: { code: ErrorCode } & ErrorFacts };
export type StatusFacts = { until?: Date; phone?: Phone };
/** How the connection fares, told together with a status. */
export type HealthFacts = {
  reconnectAttempts: number;
  isAlive: boolean;
  /** How long the number was without a connection, once it is back. */
  reconnectMs?: number;
};

/** How often a quiet worker looks whether it may write again. */
const QUIET_LOOK_MS = 100;

/** How long a commit is tried again while Postgres is away. */
const RETRY_MS = [100, 250, 500, 1_000];

export class NumberJournal {
  readonly fence: Fence;
  readonly #context: WorkerContext;
  readonly #number: OwnedNumber;
  readonly #signal: AbortSignal;
  #status: SessionStatus;
  #reason: SessionReason;
  #phone: Phone | null;
  #until: Date | null;
  #statusEpoch: number;

  constructor(context: WorkerContext, number: OwnedNumber, signal: AbortSignal) {
    this.#context = context;
    this.#number = number;
    this.#signal = signal;
    this.#status = number.status;
    this.#reason = number.reason;
    this.#phone = number.phone as Phone | null;
    this.#until = number.until;
    this.#statusEpoch = number.statusEpoch;
    this.fence = { companyNo: number.companyNo, numberNo: number.numberNo, epoch: number.epoch };
  }

  get status(): SessionStatus {
    return this.#status;
  }
  get reason(): SessionReason {
    return this.#reason;
  }
  /** The status was said under this fence. */
  get isOwnWord(): boolean {
    return this.#statusEpoch === this.fence.epoch;
  }
  /** When the status ends by itself. */
  get until(): Date | null {
    return this.#until;
  }
  get phone(): Phone | null {
    return this.#phone;
  }
  /** A person changed it through the gateway. */
  notePhone(phone: Phone | null): void {
    this.#phone = phone;
  }
  /** Reads what others have said of the number's status: of a WPP number its webhooks do. */
  async sync(): Promise<void> {
    await this.commit((entry) => entry.refresh());
  }

  /**
   * Commits `work` and its events. While Postgres is away it waits and tries again, up to `patienceMs`
   * (default: until the number is let go). Throws FencedError when the number is no longer ours.
   */
  commit<T>(work: (entry: Entry) => Promise<T>, patienceMs = Number.POSITIVE_INFINITY): Promise<T> {
    return this.patiently(() => this.#commitOnce(work), patienceMs);
  }

  /**
   * Stores a status with its event and the connection's health, together with those of other numbers that
   * change at the same moment: opening thousands must not cost a transaction each.
   */
  note(
    status: SessionStatus,
    reason: SessionReason,
    health?: HealthFacts,
    facts: StatusFacts = {},
  ): Promise<void> {
    return this.patiently(async () => {
      const change = this.#changeTo(status, reason, facts);
      const healthChange = health && this.#healthChange(status, reason, health);
      if (!change && !healthChange) return;
      await this.#context.statusCommits.add({
        fence: this.fence,
        change: change?.stored,
        health: healthChange,
        event: change?.event,
      });
      if (change) this.#remember(change.stored);
      if (change?.event) {
        this.#context.reports.event(change.event.envelope.type, this.#number);
      }
    });
  }

  /**
   * Tries until it is committed, the number is let go, or patience ends; waits while the worker is quiet.
   * Throws FencedError when the number is no longer ours, after having said so.
   */
  async patiently<T>(attempt: () => Promise<T>, patienceMs = Number.POSITIVE_INFINITY): Promise<T> {
    const { clock } = this.#context;
    const giveUpAt = clock.monotonic() + patienceMs;
    for (let tries = 0; ; tries += 1) {
      this.#signal.throwIfAborted();
      while (this.#context.isQuiet() && clock.monotonic() < giveUpAt) {
        await clock.sleep(QUIET_LOOK_MS, this.#signal);
      }
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof FencedError) {
          this.#context.onFenced(this.#number.numberNo);
          throw error;
        }
        if (!isUnavailable(error) || clock.monotonic() >= giveUpAt) throw error;
        await clock.sleep(RETRY_MS[Math.min(tries, RETRY_MS.length - 1)] ?? 1_000, this.#signal);
      }
    }
  }

  async #commitOnce<T>(work: (entry: Entry) => Promise<T>): Promise<T> {
    const before = {
      status: this.#status,
      reason: this.#reason,
      phone: this.#phone,
      until: this.#until,
      statusEpoch: this.#statusEpoch,
    };
    const restore = (): void => {
      this.#status = before.status;
      this.#reason = before.reason;
      this.#phone = before.phone;
      this.#until = before.until;
      this.#statusEpoch = before.statusEpoch;
    };
    const events: OutgoingEvent[] = [];
    const finished: string[] = [];
    try {
      const { result, stored } = await fencedTransaction(
        this.#context.db,
        this.fence,
        async (tx) => {
          // A deadlock runs this again from the start.
          events.length = 0;
          finished.length = 0;
          restore();
          const emit: Entry["emit"] = (definition, data) => {
            events.push(this.#makeEvent(definition, data));
          };
          const entry: Entry = {
            tx,
            emit,
            tell: (made) => {
              events.push(...made);
            },
            refresh: async () => {
              const row = await lockStatus(tx, this.fence);
              if (row) this.#adopt(row);
            },
            setStatus: (status, reason, facts = {}) =>
              this.#setStatus(tx, emit, status, reason, facts),
            finish: async (commandId, outcome) => {
              // False: it ended before, by its deadline or by another owner. Nobody waits for it any more.
              if (await finishCommand(tx, commandId, outcome)) finished.push(commandId);
            },
          };
          const value = await work(entry);
          const { companyNo, numberNo } = this.fence;
          return {
            result: value,
            stored: await appendEvents(
              tx,
              events.map((event) => ({ companyNo, numberNo, event })),
            ),
          };
        },
      );
      if (stored.length > 0) this.#context.relay.publish(stored);
      for (const commandId of finished) this.#context.bus.poke(commandDonePoke(commandId));
      for (const event of events) this.#context.reports.event(event.envelope.type, this.#number);
      return result;
    } catch (error) {
      restore();
      throw error;
    }
  }

  async #setStatus(
    tx: Transaction,
    emit: Entry["emit"],
    status: SessionStatus,
    reason: SessionReason,
    facts: StatusFacts,
  ): Promise<void> {
    const change = this.#changeTo(status, reason, facts);
    if (!change) return;
    this.#remember(change.stored);
    await setNumberStatus(tx, this.fence, change.stored);
    if (change.told) emit(change.told.definition, change.told.data);
  }

  /** What a new status stores and tells; undefined: it is none. */
  #changeTo(status: SessionStatus, reason: SessionReason, facts: StatusFacts) {
    const since = this.#context.clock.now();
    const previousStatus = this.#status;
    const isNew = status !== previousStatus || reason !== this.#reason;
    // What a former owner said is believed of nobody else: it is said again, though nobody is told.
    const isProven = status !== "connected" || this.#statusEpoch === this.fence.epoch;
    if (!isNew && isProven && facts.until === undefined && facts.phone === undefined)
      return undefined;
    const phone = facts.phone ?? this.#phone;
    const stored: StatusChange = {
      status,
      reason,
      since,
      until: facts.until ?? null,
      ...(facts.phone === undefined ? {} : { phone: facts.phone }),
      ...(status === "connected" ? { lastConnectedAt: since } : {}),
    };
    const definition = eventDefinition(`session.${status}`);
    if (!isNew || !definition) return { stored, told: undefined, event: undefined };
    const data = {
      status,
      reason,
      previousStatus,
      since: since.toISOString(),
      provider: this.#number.provider,
      phone,
      nextAction: SESSION_REASONS[reason].nextAction,
      ...(facts.until === undefined ? {} : { until: facts.until.toISOString() }),
    };
    return { stored, told: { definition, data }, event: this.#makeEvent(definition, data) };
  }

  #makeEvent<Definition extends EventDefinition>(
    definition: Definition,
    data: EventData<Definition>,
  ): OutgoingEvent {
    const key = {
      companyId: this.#number.companyId as CompanyId,
      numberId: this.#number.numberId as NumberId,
    };
    return makeEvent(definition, key, data, {
      service: "session-worker",
      at: this.#context.clock.now(),
      traceparent: currentTraceparent(),
    });
  }

  #adopt({ status, reason, until, phone, statusEpoch }: StoredStatus): void {
    this.#status = status;
    this.#reason = reason;
    this.#until = until;
    this.#phone = phone as Phone | null;
    this.#statusEpoch = statusEpoch;
  }

  #remember(stored: StatusChange): void {
    this.#status = stored.status;
    this.#reason = stored.reason;
    this.#until = stored.until ?? null;
    this.#statusEpoch = this.fence.epoch;
    if (stored.phone !== undefined) this.#phone = stored.phone as Phone;
  }

  #healthChange(status: SessionStatus, reason: SessionReason, health: HealthFacts): HealthChange {
    return {
      status,
      reconnectAttempts: health.reconnectAttempts,
      lastSeenAt: health.isAlive ? this.#context.clock.now() : null,
      disconnectReason: status === "connected" ? null : reason,
      ...(health.reconnectMs === undefined ? {} : { reconnectMs: health.reconnectMs }),
    };
  }
}

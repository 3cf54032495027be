/**
 * What a number is sending: a few messages at a time, each of another chat, at its pace. A message that was
 * claimed stays here until it is known what became of it, over as many connections as that takes; it goes back
 * into the queue only if surely nothing of it has left. Every try carries the same id, so that a recipient who
 * has it already drops the rest.
 */
import { messageError, type MessageErrorCode } from "@manyline/contracts";
import {
  FencedError,
  releaseSends,
  takeFirstContact,
  type OwnedNumber,
  type Send,
  type Status,
} from "@manyline/db";
import { withSpan } from "@manyline/runtime";
import { metaPace, type PaceFigures, TokenBucket, TRIES } from "../domain/pace.ts";
import { refusalRule, SLOW_DOWN_MS } from "../domain/refusals.ts";
import type { LoginConnection, Receipt, SendOutcome } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import { Restrictions } from "./restrictions.ts";
import { SerialQueue } from "./serial-queue.ts";
import type { StatusPump } from "./status-pump.ts";

/** When nobody can say until when: looked at again after this. */
const HOLD_MS = 3_600_000;
/** A result that could not be stored is stored again after this. */
const NOTE_AGAIN_MS = 5_000;
/** What cannot be sent yet for want of something of ours, such as its file, is looked at again after this. */
const LATER_MS = 10_000;
/** A claim that failed may still be running in Postgres; longer than any statement may take. */
const DOUBT_MS = 20_000;
/** Whoever takes the number over would send what is under way once more: it gets so long to be answered. */
const DRAIN_MS = 500;

type Flight = {
  readonly send: Send;
  /** Some of it may be with the recipient. */
  mayHaveLeft: boolean;
  /** Tries of this owner, and when the last one began, by the monotonic clock. */
  tries: number;
  triedAt: number;
  isBusy: boolean;
  /** It is known what became of it. */
  isSettled: boolean;
};

export class Outbox {
  readonly #context: WorkerContext;
  readonly #number: () => OwnedNumber;
  readonly #journal: NumberJournal;
  readonly #statuses: StatusPump;
  readonly #signal: AbortSignal;
  readonly #onRoom: () => void;
  #pace: PaceFigures;
  readonly #bucket: TokenBucket;
  readonly #restrictions: Restrictions;
  readonly #flights = new Map<string, Flight>();
  readonly #running = new Set<Promise<void>>();
  readonly #contacts = new SerialQueue();
  #connection: LoginConnection | undefined;
  #isDraining = false;
  #cancelTimer: (() => void) | undefined;
  /** Until then claims may appear that nobody here knows of; by the monotonic clock. */
  #doubtUntil: number | undefined;

  /** `onRoom`: there may be something to claim, and there is room for it. */
  constructor(
    context: WorkerContext,
    number: () => OwnedNumber,
    journal: NumberJournal,
    statuses: StatusPump,
    signal: AbortSignal,
    onRoom: () => void,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#statuses = statuses;
    this.#signal = signal;
    this.#onRoom = onRoom;
    this.#pace = number().provider === "meta" ? metaPace() : context.pace;
    this.#bucket = new TokenBucket(this.#pace, context.clock.monotonic());
    this.#restrictions = new Restrictions(context, number(), journal, signal, onRoom);
    if (number().hasLostSends) this.#doubtUntil = context.clock.monotonic();
    signal.addEventListener("abort", () => this.#cancelTimer?.(), { once: true });
  }

  get restrictions(): Restrictions {
    return this.#restrictions;
  }

  /** The connection is open. */
  up(connection: LoginConnection): void {
    this.#connection = connection;
    this.#restrictions.up(connection);
    for (const flight of this.#flights.values()) this.#start(flight);
    this.#onRoom();
  }

  down(): void {
    this.#connection = undefined;
    this.#restrictions.down();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#flights.size === 0 && this.#running.size === 0;
  }

  /** How many messages can be claimed now. */
  get room(): number {
    if (!this.#connection || this.#isDraining || this.#signal.aborted) return 0;
    if (this.#restrictions.until("slow_down")) return 0;
    const places = this.#pace.underWay - this.#flights.size;
    return Math.max(0, Math.min(places, this.#bucket.available(this.#context.clock.monotonic())));
  }

  /** From now on it goes so fast; what is under way goes on. */
  changePace(pace: PaceFigures): void {
    this.#pace = pace;
    this.#bucket.change(pace, this.#context.clock.monotonic());
    if (this.room > 0) this.#onRoom();
  }

  /** Messages that are claimed and known here. */
  get known(): string[] {
    return [...this.#flights.keys()];
  }

  /** A claim may have been made that nobody heard of, or (in `ms`) may still be made. */
  noteDoubt(ms = DOUBT_MS): void {
    const until = this.#context.clock.monotonic() + ms;
    this.#doubtUntil = Math.max(until, this.#doubtUntil ?? until);
  }
  get isInDoubt(): boolean {
    return this.#doubtUntil !== undefined;
  }
  /** What nobody heard of is in the queue again. */
  noteRecovered(): void {
    if (this.#doubtUntil !== undefined && this.#context.clock.monotonic() >= this.#doubtUntil) {
      this.#doubtUntil = undefined;
    }
  }

  /** These were claimed for this number just now. */
  take(sends: readonly Send[]): void {
    this.#bucket.take(sends.length, this.#context.clock.monotonic());
    for (const send of sends) {
      const flight: Flight = {
        send,
        mayHaveLeft: send.attempts > 1,
        tries: 0,
        triedAt: 0,
        isBusy: false,
        isSettled: false,
      };
      this.#flights.set(send.messageId, flight);
      this.#start(flight);
    }
  }

  /** Stores receipts; each tells as well that WhatsApp has taken the message. */
  async receive(receipts: readonly Receipt[]): Promise<void> {
    const flights = new Map<string, Flight>();
    for (const flight of this.#flights.values()) flights.set(flight.send.providerMessageId, flight);
    const landed: Flight[] = [];
    // The word that it was taken may have got lost, with its connection or its former owner.
    const statuses = receipts.flatMap((receipt): Status[] => {
      const flight = flights.get(receipt.providerMessageId);
      if (flight && !flight.isSettled) {
        flight.isSettled = true;
        landed.push(flight);
      }
      return [{ ...receipt, state: "sent" }, receipt];
    });
    try {
      await this.#statuses.add(statuses);
    } catch (error) {
      if (this.#signal.aborted || error instanceof FencedError) throw error;
      // Told again it would fail again.
      this.#context.reports.failed("receipt", this.#number(), error);
    }
    for (const flight of landed) this.#land(flight);
  }

  /**
   * The time of these is over, and nobody is going to try them again while there is no connection: whoever waits
   * for a word gets the last one. Over a connection that is open each is seen to in its turn.
   */
  async giveUpOverdue(messageIds: readonly string[]): Promise<void> {
    if (this.#connection) return;
    const error = messageError("NO_ANSWER");
    const at = this.#context.clock.now();
    const lost = messageIds.filter((messageId) => this.#flights.get(messageId)?.isBusy !== true);
    await this.#statuses.add(
      lost.map((messageId) => ({ messageId, state: "unknown" as const, at, error })),
    );
    for (const messageId of lost) {
      const flight = this.#flights.get(messageId);
      if (!flight || flight.isBusy) continue;
      flight.isSettled = true;
      this.#land(flight);
    }
  }

  /** Nothing new is begun; what is under way gets a moment to be answered. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#running.size === 0 || !this.#connection) return;
    await Promise.race([Promise.allSettled(this.#running), this.#context.clock.sleep(DRAIN_MS)]);
  }

  // ---- one message ----------------------------------------------------------------------------

  #start(flight: Flight): void {
    if (flight.isBusy || flight.isSettled) return;
    flight.isBusy = true;
    const { companyId, numberId } = this.#number();
    const span = {
      parent: flight.send.traceparent ?? undefined,
      kind: "consumer",
      attributes: { company_id: companyId, number_id: numberId },
    } as const;
    const run = withSpan("send", span, () => this.#fly(flight))
      .catch((error: unknown) => {
        if (this.#signal.aborted || error instanceof FencedError) return;
        this.#context.reports.failed("send", this.#number(), error);
        // Whatever went wrong, the message is still claimed.
        this.#flights.delete(flight.send.messageId);
        this.noteDoubt();
      })
      .finally(() => {
        flight.isBusy = false;
        this.#running.delete(run);
        // The next connection came while the last one's end was dealt with.
        const isHere = !this.#signal.aborted && this.#flights.has(flight.send.messageId);
        if (this.#connection && isHere) this.#start(flight);
      });
    this.#running.add(run);
  }

  async #fly(flight: Flight): Promise<void> {
    while (!flight.isSettled && !this.#signal.aborted) {
      const connection = this.#connection;
      if (!connection) return flight.mayHaveLeft ? undefined : this.#putBack(flight);
      if (flight.send.expiresAt <= this.#context.clock.now()) {
        return flight.mayHaveLeft ? this.#giveUp(flight) : this.#putBack(flight);
      }
      if (flight.send.attempts + flight.tries > TRIES.most) return this.#giveUp(flight);
      // Some engines know no id that keeps a recipient from getting it twice.
      if (flight.mayHaveLeft && !connection.isRepeatable) return this.#giveUp(flight);
      // A worker that is quiet begins nothing.
      await this.#journal.patiently(() => Promise.resolve());
      const heldUntil = await this.#obstacle(flight);
      if (heldUntil) return this.#putBack(flight, heldUntil);
      if (connection !== this.#connection) continue;
      flight.tries += 1;
      flight.triedAt = this.#context.clock.monotonic();
      const outcome = await connection.send(flight.send);
      this.#context.reports.sendTried(outcome.kind);
      if (flight.isSettled) return undefined;
      const isOver = await this.#hear(flight, outcome, connection);
      if (isOver) return undefined;
    }
    return undefined;
  }

  /** Until when the message has to wait, for reasons of the number; undefined: it may go. */
  async #obstacle({ send, mayHaveLeft }: Flight): Promise<Date | undefined> {
    const slowUntil = this.#restrictions.until("slow_down");
    if (slowUntil) return slowUntil;
    const isCold = send.chatType === "direct" && send.lastInboundAt === null;
    if (!isCold || mayHaveLeft) return undefined;
    // Meta counts for itself whom a number writes to first.
    if (this.#number().provider === "meta") return undefined;
    const { db, pace } = this.#context;
    const closedUntil = await this.#restrictions.newChatsUntil();
    const most = closedUntil ? 0 : pace.firstContactsPerDay;
    // One after another: two at once would both take the last one.
    const contact = await this.#contacts.add(() =>
      this.#journal.patiently(() =>
        takeFirstContact(db, this.#journal.fence, send.messageId, most),
      ),
    );
    if (!contact.isFirst || contact.isFree) return undefined;
    return closedUntil ?? contact.until ?? this.#in(HOLD_MS);
  }

  /** Whether that was the last word. */
  async #hear(flight: Flight, outcome: SendOutcome, connection: LoginConnection): Promise<boolean> {
    switch (outcome.kind) {
      case "taken":
        await this.#taken(flight, outcome);
        return true;
      case "later":
        await this.#putBack(flight, this.#in(outcome.inMs ?? LATER_MS));
        return true;
      case "impossible":
        await this.#fail(flight, outcome.error);
        return true;
      case "refused":
        return this.#refused(flight, outcome);
      case "lost":
        flight.mayHaveLeft ||= outcome.mayHaveLeft;
        // Over the next connection at once; over the same one after a pause.
        if (outcome.isOver && connection === this.#connection) this.down();
        if (connection !== this.#connection) return false;
        return this.#pause(flight);
    }
  }

  async #taken(
    flight: Flight,
    { at, providerMessageId, otherPhone }: Extract<SendOutcome, { kind: "taken" }>,
  ): Promise<void> {
    const { phone } = flight.send;
    await this.#settle(flight, {
      state: "sent",
      at,
      ...(providerMessageId === undefined ? {} : { providerMessageId }),
      ...(phone === null || otherPhone === undefined ? {} : { samePhones: [phone, otherPhone] }),
    });
  }

  async #refused(
    flight: Flight,
    { code, rule, inMs }: Extract<SendOutcome, { kind: "refused" }>,
  ): Promise<boolean> {
    const { reaction, error } = rule ?? refusalRule(code, flight.send.chatType);
    this.#context.reports.refused(this.#number(), code);
    if (reaction === "again" && flight.tries === 1) return this.#pause(flight);
    if (reaction === "slow_down") {
      await this.#restrictions.slowDown(inMs ?? this.#context.clock.scaled(SLOW_DOWN_MS));
      await this.#putBack(flight, this.#restrictions.until("slow_down"));
      return true;
    }
    const until =
      reaction === "restriction"
        ? await this.#restrictions.newChatsUntil(flight.triedAt)
        : undefined;
    if (until) await this.#putBack(flight, until);
    else await this.#fail(flight, error);
    return true;
  }

  async #pause(flight: Flight): Promise<boolean> {
    const ms = TRIES.pausesMs[flight.tries - 1];
    if (ms === undefined) {
      await this.#giveUp(flight);
      return true;
    }
    await this.#context.clock.sleep(ms, this.#signal);
    return false;
  }

  /** Nobody will know what became of it, unless a receipt comes; or surely it was not sent. */
  async #giveUp(flight: Flight): Promise<void> {
    const error = messageError("NO_ANSWER");
    const state = flight.mayHaveLeft ? ("unknown" as const) : ("failed" as const);
    await this.#settle(flight, { state, at: this.#context.clock.now(), error });
  }

  async #fail(flight: Flight, code: MessageErrorCode): Promise<void> {
    const error = messageError(code);
    await this.#settle(flight, { state: "failed", at: this.#context.clock.now(), error });
  }

  async #settle(
    flight: Flight,
    status: Pick<Status, "state" | "at" | "error" | "samePhones"> & { providerMessageId?: string },
  ): Promise<void> {
    flight.isSettled = true;
    for (;;) {
      try {
        await this.#statuses.add([{ ...status, messageId: flight.send.messageId }]);
        break;
      } catch (error) {
        if (this.#signal.aborted || error instanceof FencedError) throw error;
        this.#context.reports.failed("send_result", this.#number(), error);
        await this.#context.clock.sleep(NOTE_AGAIN_MS, this.#signal);
      }
    }
    this.#land(flight);
  }

  /** Back into the queue: this try has not reached anybody. */
  async #putBack(flight: Flight, until?: Date): Promise<void> {
    const { db } = this.#context;
    const { messageId } = flight.send;
    await this.#journal.patiently(() => releaseSends(db, this.#journal.fence, [messageId], until));
    flight.isSettled = true;
    this.#land(flight);
  }

  #in(ms: number): Date {
    return new Date(this.#context.clock.now().getTime() + ms);
  }

  #land({ send }: Flight): void {
    this.#flights.delete(send.messageId);
    this.#wake();
  }

  /** Asks for more, now or as soon as the pace allows it. */
  #wake(): void {
    if (!this.#connection || this.#signal.aborted || this.#isDraining) return;
    const { clock } = this.#context;
    const inMs = this.#bucket.nextInMs(clock.monotonic());
    if (inMs === 0) this.#onRoom();
    else {
      this.#cancelTimer ??= clock.setTimer(inMs, () => {
        this.#cancelTimer = undefined;
        this.#onRoom();
      });
    }
  }
}

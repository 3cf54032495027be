/**
 * What WhatsApp does not let the number send for a while. Told by WhatsApp, or asked for before people are written
 * to who never wrote, and after a refusal: never per message. It is stored with the number, so that the next
 * owner knows of it as well.
 */
import { numberRestricted, type Restriction, type RestrictionCode } from "@manyline/contracts";
import { setRestriction, type OwnedNumber } from "@manyline/db";
import type { LoginConnection, Timelock } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import { SerialQueue } from "./serial-queue.ts";

/** An answer of WhatsApp is good for so long. */
const ASK_AGAIN_MS = 600_000;
/** When WhatsApp does not say how long. */
const UNKNOWN_MS = 3_600_000;
/** Held messages go at some time within this after the end, not all numbers at once; sooner after a short wait. */
const JITTER_MS = 30_000;
/** Of several messages that are refused one after another each moves the end by less than this. */
const SAME_END_MS = 5_000;

export class Restrictions {
  readonly #context: WorkerContext;
  readonly #number: OwnedNumber;
  readonly #journal: NumberJournal;
  readonly #signal: AbortSignal;
  readonly #onChange: () => void;
  readonly #writes = new SerialQueue();
  #current: Restriction | null;
  #connection: LoginConnection | undefined;
  /** By the monotonic clock. */
  #askedAt: number | undefined;
  #asking: Promise<Date | undefined> | undefined;
  #cancelTimer: (() => void) | undefined;

  /** `onChange`: something may go now that could not before. */
  constructor(
    context: WorkerContext,
    number: OwnedNumber,
    journal: NumberJournal,
    signal: AbortSignal,
    onChange: () => void,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#signal = signal;
    this.#onChange = onChange;
    this.#current = number.restriction;
    signal.addEventListener("abort", () => this.#cancelTimer?.(), { once: true });
  }

  /** The connection is open: what was restricted may be over by now. */
  up(connection: LoginConnection): void {
    this.#connection = connection;
    this.#askedAt = undefined;
    if (this.#current) this.#lookAtEnd();
  }

  down(): void {
    this.#connection = undefined;
    this.#cancelTimer?.();
  }

  /** Until when nothing of this kind goes; undefined: it may. */
  until(code: RestrictionCode): Date | undefined {
    if (this.#current?.code !== code) return undefined;
    const until = new Date(this.#current.until ?? this.#context.clock.now().getTime() + UNKNOWN_MS);
    return until.getTime() > this.#context.clock.now().getTime() ? this.#later(until) : undefined;
  }

  /**
   * Until when people who never wrote cannot be written to; undefined: they can, or WhatsApp does not say. Asks
   * when the last answer is older than `since` (monotonic; left out: a while ago).
   */
  async newChatsUntil(since?: number): Promise<Date | undefined> {
    const known = this.until("new_chats");
    if (known) return known;
    const oldest = since ?? this.#context.clock.monotonic() - ASK_AGAIN_MS;
    if (this.#askedAt !== undefined && this.#askedAt >= oldest) return undefined;
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #ask(): Promise<Date | undefined> {
    let timelock: Timelock | undefined;
    try {
      timelock = await this.#connection?.askTimelock();
    } catch {
      // Without an answer the message itself shows it.
      return undefined;
    }
    this.#askedAt = this.#context.clock.monotonic();
    await this.note(timelock);
    return this.until("new_chats");
  }

  /** WhatsApp has said whether new chats are closed. */
  note(timelock: Timelock | undefined): Promise<void> {
    if (timelock) return this.#set("new_chats", timelock.until);
    return this.#current?.code === "new_chats" ? this.#lift() : Promise.resolve();
  }

  /** WhatsApp wants less: everything waits. */
  slowDown(ms: number): Promise<void> {
    return this.#set("slow_down", new Date(this.#context.clock.now().getTime() + ms));
  }

  #set(code: RestrictionCode, end: Date | null): Promise<void> {
    return this.#writes.add(async () => {
      const isSame = this.#current?.code === code;
      const until = end === null ? null : end.toISOString();
      if (isSame && this.#current?.until === until) return;
      if (code === "slow_down" && isSame && this.#coversAlready(end)) return;
      const since = isSame ? this.#current?.since : undefined;
      await this.#store({ code, since: since ?? this.#context.clock.now().toISOString(), until });
      this.#lookAtEnd();
    });
  }

  /** What is under way together is refused together: that is told once, and nothing shortens the wait. */
  #coversAlready(end: Date | null): boolean {
    if (end === null || !this.#current?.until) return false;
    const known = Date.parse(this.#current.until);
    return known > this.#context.clock.now().getTime() && end.getTime() - known < SAME_END_MS;
  }

  #lift(): Promise<void> {
    return this.#writes.add(async () => {
      if (!this.#current) return;
      await this.#store(null);
      this.#onChange();
    });
  }

  async #store(restriction: Restriction | null): Promise<void> {
    const { provider } = this.#number;
    await this.#journal.commit(async (entry) => {
      await setRestriction(entry.tx, this.#journal.fence, restriction);
      entry.emit(numberRestricted, { provider, phone: this.#journal.phone, restriction });
    });
    this.#current = restriction;
  }

  /** At its end WhatsApp is asked whether it is over. */
  #lookAtEnd(): void {
    const { clock, reports } = this.#context;
    this.#cancelTimer?.();
    const end = new Date(this.#current?.until ?? clock.now().getTime() + UNKNOWN_MS);
    const inMs = Math.max(0, end.getTime() - clock.now().getTime());
    this.#cancelTimer = clock.setTimer(inMs, () => {
      if (this.#signal.aborted) return;
      this.#end().catch((error: unknown) => {
        if (!this.#signal.aborted) reports.failed("restriction", this.#number, error);
      });
    });
  }

  async #end(): Promise<void> {
    if (this.#current?.code === "slow_down") return this.#lift();
    await this.#ask();
    return this.until("new_chats") ? undefined : this.#lift();
  }

  #later(end: Date): Date {
    const { clock } = this.#context;
    const leftMs = end.getTime() - clock.now().getTime();
    const jitterMs = Math.min(clock.scaled(JITTER_MS), leftMs / 2);
    return new Date(end.getTime() + Math.random() * jitterMs);
  }
}

/**
 * Keeps a linked number connected: opens with the stored credentials, watches how connections end, and
 * reacts as domain/closing-reasons.ts says. It never begins a pairing and never opens a number it was told
 * to leave alone.
 */
import { SESSION_REASONS, type Phone, type SessionReason } from "@manyline/contracts";
import { eraseAuth, isPhoneLinkedElsewhere, type OwnedNumber } from "@manyline/db";
import { outsideTrace } from "@manyline/runtime";
import { backoffMs } from "../domain/backoff.ts";
import { closingRule } from "../domain/closing-reasons.ts";
import type { ConnectionEnd, LoginConnection, LoginHandlers } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import { ScanAttempt } from "./scan-attempt.ts";
import type { SerialQueue } from "./serial-queue.ts";

/** Open for so long, a connection counts as healthy and the next drop starts from the first backoff. */
const HEALTHY_MS = 60_000;

const LOOK_MS = 50;
/** How often it is read what others have said of a number that is open. */
const SYNC_MS = 300_000;

/** Why a linked number has no connection, and until when, if that is known. */
export type Resting = { reason: SessionReason; until: Date | null };

/** What happens over the connection, and when it is there. */
export type Traffic = Pick<
  LoginHandlers,
  "onUnread" | "onReceived" | "onReceipts" | "onTimelock" | "onPace" | "onPerson" | "findSent"
> & {
  onUp(connection: LoginConnection): void;
  onDown(): void;
};

export class SessionKeeper {
  readonly #context: WorkerContext;
  readonly #number: OwnedNumber;
  readonly #journal: NumberJournal;
  readonly #queue: SerialQueue;
  readonly #signal: AbortSignal;
  #connection: LoginConnection | undefined;
  /** Raised whenever an older connection's words do not count any more. */
  #generation = 0;
  #releasePlace: (() => void) | undefined;
  #cancelTimer: (() => void) | undefined;
  #attempts = 0;
  #openedAt: number | undefined;
  #syncedAt: number | undefined;
  #mayScan = false;
  /** Since when a number that should be connected is not; by the monotonic clock. */
  #downSince: number | undefined;
  #isLinked: boolean;
  #resting: Resting | undefined;
  readonly #traffic: Traffic;
  readonly #scan: ScanAttempt;
  readonly #firstOutcome = Promise.withResolvers<void>();

  constructor(
    context: WorkerContext,
    number: OwnedNumber,
    journal: NumberJournal,
    queue: SerialQueue,
    signal: AbortSignal,
    traffic: Traffic,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#queue = queue;
    this.#signal = signal;
    this.#traffic = traffic;
    this.#scan = new ScanAttempt(context, number, journal);
    this.#isLinked = number.isLinked;
  }

  /** There are stored credentials of a linked device. */
  get isLinked(): boolean {
    return this.#isLinked;
  }
  get isOpen(): boolean {
    return this.#openedAt !== undefined;
  }
  /** A connection is on its way, or will be tried again. */
  get isOpening(): boolean {
    const { status } = this.#journal;
    // "connected" without a connection: the word of a former owner.
    return this.#isLinked && !this.isOpen && (status === "connecting" || status === "connected");
  }
  /** Resolves when there is a connection, or nothing is on its way any more, or after `ms`. */
  async untilOpen(ms: number): Promise<void> {
    const { clock } = this.#context;
    const giveUpAt = clock.monotonic() + ms;
    while (this.isOpening && clock.monotonic() < giveUpAt) await clock.sleep(LOOK_MS, this.#signal);
  }
  /** Its server shows a QR. */
  get isScanning(): boolean {
    return this.#scan.isLive;
  }
  /** A person has asked for a scan, until it is connected. */
  allowScan(): void {
    this.#mayScan = true;
  }
  /** The session that was waiting for its scan is given up for another. */
  async giveUpScan(): Promise<void> {
    await this.#scan.end("replaced");
  }
  /** Its server has news of its session. False: nobody is listening there. */
  nudge(): boolean {
    this.#connection?.nudge?.(this.#scan.news);
    return this.#connection !== undefined;
  }
  /** While it is open. */
  get connection(): LoginConnection | undefined {
    return this.isOpen ? this.#connection : undefined;
  }
  /** Resolves when the first opening has led to anything, or there will be none. */
  get firstOutcome(): Promise<void> {
    return this.#firstOutcome.promise;
  }
  /** Nothing is going to be opened by itself now. */
  noteNothingToOpen(): void {
    this.#firstOutcome.resolve();
  }

  /** The worker may send and receive again. */
  heard(): void {
    this.#connection?.heard();
  }

  /** A person has given the number another place or token. */
  noteToken(isThere: boolean): void {
    this.#isLinked = isThere;
    this.#attempts = 0;
  }

  /** The phone has accepted and the credentials are stored. */
  noteLinked(): void {
    this.#isLinked = true;
    this.#resting = undefined;
    this.#attempts = 0;
  }

  /** Opens now, whatever was being waited for. Runs in the number's queue. */
  async open(
    reason: Extract<SessionReason, "opening" | "reconnecting"> = "opening",
  ): Promise<void> {
    this.close();
    if (!this.#isLinked || this.#signal.aborted) return;
    if (this.#context.gate.isOutdated) {
      await this.#journal.note("error", "client_outdated");
      this.#firstOutcome.resolve();
      return;
    }
    this.#downSince ??= this.#context.clock.monotonic();
    if (!(await this.#scan.isToldAlready())) await this.#journal.note("connecting", reason);
    const generation = (this.#generation += 1);
    // Waiting for a place must not hold up the number's queue: a person may unlink meanwhile.
    outsideTrace(() => {
      void this.#connect(generation).catch((error: unknown) => this.#failed(generation, error));
    });
  }

  /** Closes without a word to WhatsApp and forgets every timer. */
  close(): void {
    this.#generation += 1;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#leavePlace();
    // Nothing is sent over a connection that is being closed.
    if (this.isOpen) this.#traffic.onDown();
    this.#openedAt = undefined;
    this.#connection?.close();
    this.#connection = undefined;
  }

  /**
   * Stands back while a person links the number anew. What it was doing or waiting for is kept, so that an
   * attempt that leads to nothing changes nothing: a banned account is not logged in by a cancelled code.
   */
  pause(): void {
    const { reason, until } = this.#journal;
    this.#resting = this.#isLinked
      ? { reason: SESSION_REASONS[reason].status === "error" ? reason : "reconnecting", until }
      : undefined;
    this.close();
  }

  /** What the number is again when the attempt ends without a link; undefined: it has no credentials. */
  get resting(): Resting | undefined {
    return this.#resting;
  }

  /** The attempt led to nothing. Runs in the number's queue, after the status was put back. */
  async resume(): Promise<void> {
    const resting = this.#resting;
    this.#resting = undefined;
    if (resting) await this.#goOn(resting);
  }

  /** After a start: a number that a person has to see to is not opened by itself. */
  async openOrRest(): Promise<void> {
    const { status, reason, until } = this.#journal;
    // A new process may be a new version.
    const isStopped = status === "error" && reason !== "client_outdated";
    if (isStopped) await this.#goOn({ reason, until });
    else await this.open("opening");
  }

  async #goOn({ reason, until }: Resting): Promise<void> {
    if (SESSION_REASONS[reason].status !== "error") await this.open("reconnecting");
    else if (until !== null) {
      this.#later(
        Math.max(0, until.getTime() - this.#context.clock.now().getTime()),
        "reconnecting",
      );
    }
  }

  /**
   * Logs out at WhatsApp if connected, and erases the credentials. Runs in the number's queue. `told`: WhatsApp
   * has confirmed; else the device stays listed on the phone until somebody removes it there.
   */
  async unlink(
    reason: Extract<SessionReason, "unlinked" | "logged_out">,
  ): Promise<{ wasLinked: boolean; told: boolean }> {
    const wasLinked = this.#isLinked;
    const told = reason === "unlinked" && (await this.#logOut());
    this.close();
    await this.#scan.end("cancelled");
    await this.#journal.commit(async (entry) => {
      await eraseAuth(entry.tx, this.#journal.fence);
      await entry.setStatus("disconnected", wasLinked ? reason : "not_linked");
    });
    this.#isLinked = false;
    this.#resting = undefined;
    this.#attempts = 0;
    return { wasLinked, told };
  }

  async #logOut(): Promise<boolean> {
    const isHeard = this.isOpen || this.#scan.isLive;
    if (isHeard && this.#connection) return this.#connection.logout();
    const number = { ...this.#number, fence: this.#journal.fence };
    return (await this.#context.provider.endSession?.(number)) ?? false;
  }

  async #connect(generation: number): Promise<void> {
    const release = await this.#context.opener.enter(this.#signal, this.#number.lastConnectedAt);
    if (generation !== this.#generation) {
      release();
      return;
    }
    this.#releasePlace = release;
    const { companyId, numberId, provider } = this.#number;
    const connection = await this.#context.provider.login(
      { fence: this.#journal.fence, companyId, numberId, provider },
      {
        onOpen: (phone, asOf) => this.#post(generation, () => this.#opened(phone, asOf)),
        onAlive: (asOf) => this.#post(generation, () => this.#stillOpen(asOf)),
        onUnread: (session, unread) => this.#traffic.onUnread?.(session, unread),
        mayScan: () => this.#mayScan && this.#journal.reason !== "logged_out",
        onQr: (qr, asOf) => this.#post(generation, () => this.#shown(qr, asOf)),
        onClosed: (end) => this.#post(generation, () => this.#closed(end)),
        // Stored is stored, even if the connection is an older one by now.
        onReceived: this.#traffic.onReceived,
        onReceipts: this.#traffic.onReceipts,
        onTimelock: this.#traffic.onTimelock,
        onPace: (pace) => {
          if (generation === this.#generation) this.#traffic.onPace?.(pace);
        },
        onPerson: this.#traffic.onPerson,
        findSent: this.#traffic.findSent,
        onBadFrame: (error) => this.#context.reports.failed("frame", this.#number, error),
        onFenced: () => this.#context.onFenced(this.#number.numberNo),
        isQuiet: () => this.#context.isQuiet(),
      },
    );
    if (generation !== this.#generation) {
      connection?.close();
      return;
    }
    this.#connection = connection;
    if (!connection) {
      this.#leavePlace();
      this.#isLinked = false;
      this.#firstOutcome.resolve();
      await this.#queue.add(() => this.#journal.note("disconnected", "not_linked"));
    }
  }

  #post(generation: number, task: () => Promise<void>): void {
    void this.#queue
      .add(async () => {
        if (generation === this.#generation && !this.#signal.aborted) await task();
      })
      .catch((error: unknown) => this.#failed(generation, error));
  }

  /** A store or a start that failed: the same as a dropped connection. */
  #failed(generation: number, error: unknown): void {
    if (generation !== this.#generation || this.#signal.aborted) return;
    this.#context.reports.failed("open", this.#number, error);
    this.#firstOutcome.resolve();
    this.close();
    this.#later(backoffMs((this.#attempts += 1), this.#context.backoff), "reconnecting");
  }

  /** Waiting for a person keeps nobody else from opening. */
  async #shown(qr: string, asOf: Date): Promise<void> {
    this.#leavePlace();
    this.#firstOutcome.resolve();
    await this.#scan.shown(qr, asOf);
  }

  async #opened(phone: Phone | undefined, asOf?: Date): Promise<void> {
    this.#leavePlace();
    // Something was told since: it is asked again what holds now.
    if (!(await this.#scan.connected(asOf))) return this.#connection?.nudge?.(this.#scan.news);
    const openedAt = this.#context.clock.monotonic();
    const downMs = this.#downSince === undefined ? undefined : openedAt - this.#downSince;
    this.#openedAt = openedAt;
    this.#downSince = undefined;
    this.#firstOutcome.resolve();
    this.#mayScan = false;
    const health = {
      reconnectAttempts: this.#attempts,
      isAlive: true,
      ...(downMs === undefined ? {} : { reconnectMs: Math.round(downMs) }),
    };
    await this.#journal.note("connected", "open", health, await this.#phoneFacts(phone));
    this.#context.copies.session(this.#number, "connected", this.#journal.phone);
    if (this.connection) this.#traffic.onUp(this.connection);
  }

  /** It is connected, whatever was said of it meanwhile. */
  async #stillOpen(asOf: Date): Promise<void> {
    if (!this.isOpen) return this.#opened(undefined, asOf);
    // A webhook of which nobody told us: seldom, for it is a transaction.
    const now = this.#context.clock.monotonic();
    if (now - (this.#syncedAt ?? this.#openedAt ?? now) >= SYNC_MS) {
      this.#syncedAt = now;
      await this.#journal.sync();
    }
    if (this.#journal.status === "connected") return undefined;
    if (!(await this.#scan.connected(asOf))) this.#connection?.nudge?.(this.#scan.news);
    return undefined;
  }

  /** A phone that another number of the company has is not this one's as well. */
  async #phoneFacts(phone: Phone | undefined): Promise<{ phone?: Phone }> {
    if (phone === undefined || phone === this.#journal.phone) return {};
    const { companyNo, numberNo } = this.#number;
    const isTaken = await isPhoneLinkedElsewhere(this.#context.db, companyNo, numberNo, phone);
    return isTaken ? {} : { phone };
  }

  async #closed(end: ConnectionEnd): Promise<void> {
    const wasHealthy =
      this.#openedAt !== undefined &&
      this.#context.clock.monotonic() - this.#openedAt >= HEALTHY_MS;
    this.close();
    this.#firstOutcome.resolve();
    this.#downSince ??= this.#context.clock.monotonic();
    if (wasHealthy) this.#attempts = 0;
    const rule = closingRule(end.code);
    // A person goes on looking for the QR of a session that comes back.
    if (!rule.reaction.startsWith("reconnect")) await this.#scan.end("unused");
    this.#context.reports.closed(this.#number, end, rule.reaction);
    switch (rule.reaction) {
      case "none":
        return;
      case "restart":
        await this.open("opening");
        return;
      case "erase":
        await this.unlink("logged_out");
        break;
      case "reconnect":
      case "reconnect_slowly":
        this.#attempts += 1;
        await this.#journal.note("connecting", "reconnecting", {
          reconnectAttempts: this.#attempts,
          isAlive: false,
        });
        this.#later(
          backoffMs(this.#attempts, this.#context.backoff, {
            slow: rule.reaction === "reconnect_slowly",
          }),
          "reconnecting",
        );
        break;
      case "wait_until": {
        const until = end.until ?? new Date(this.#context.clock.now().getTime() + 86_400_000);
        await this.#stop(rule.reason, until);
        this.#later(until.getTime() - this.#context.clock.now().getTime(), "reconnecting");
        break;
      }
      case "fleet_stop":
        this.#context.gate.close();
        await this.#stop(rule.reason);
        break;
      case "ask_lease":
        // With the lease still ours another program has these credentials: reconnecting would start a kick war.
        this.#context.askLease();
        await this.#stop(rule.reason);
        break;
      case "stop":
        await this.#stop(rule.reason);
        break;
    }
    this.#context.copies.session(this.#number, this.#journal.status, this.#journal.phone);
  }

  async #stop(reason: SessionReason, until?: Date): Promise<void> {
    const health = { reconnectAttempts: this.#attempts, isAlive: false };
    const facts = until === undefined ? {} : { until };
    await this.#journal.note(SESSION_REASONS[reason].status, reason, health, facts);
  }

  #later(ms: number, reason: "opening" | "reconnecting"): void {
    this.#cancelTimer?.();
    const generation = this.#generation;
    this.#cancelTimer = outsideTrace(() =>
      this.#context.clock.setTimer(ms, () => this.#post(generation, () => this.open(reason))),
    );
  }

  #leavePlace(): void {
    this.#releasePlace?.();
    this.#releasePlace = undefined;
  }
}

/**
 * Keeps a linked number connected: opens with the stored credentials, watches how connections end, and
 * reacts as domain/closing-reasons.ts says. It never begins a pairing and never opens a number it was told
 * to leave alone.
 */
import { SESSION_REASONS, type SessionReason } from "@manyline/contracts";
import { eraseAuth, type OwnedNumber } from "@manyline/db";
import { outsideTrace } from "@manyline/runtime";
import { backoffMs } from "../domain/backoff.ts";
import { closingRule } from "../domain/closing-reasons.ts";
import type { ConnectionEnd, LoginConnection } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";
import type { SerialQueue } from "./serial-queue.ts";

/** Open for so long, a connection counts as healthy and the next drop starts from the first backoff. */
const HEALTHY_MS = 60_000;

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
  #isLinked: boolean;

  constructor(
    context: WorkerContext,
    number: OwnedNumber,
    journal: NumberJournal,
    queue: SerialQueue,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#queue = queue;
    this.#signal = signal;
    this.#isLinked = number.isLinked;
  }

  /** There are stored credentials of a linked device. */
  get isLinked(): boolean {
    return this.#isLinked;
  }
  get isOpen(): boolean {
    return this.#openedAt !== undefined;
  }

  /** The phone has accepted and the credentials are stored. */
  noteLinked(): void {
    this.#isLinked = true;
    this.#attempts = 0;
  }

  /** Opens now, whatever was being waited for. Runs in the number's queue. */
  async open(
    reason: Extract<SessionReason, "opening" | "reconnecting"> = "opening",
  ): Promise<void> {
    this.close();
    if (!this.#isLinked || this.#signal.aborted) return;
    if (this.#context.gate.isOutdated) {
      await this.#journal.commit((entry) => entry.setStatus("error", "client_outdated"));
      return;
    }
    await this.#journal.commit((entry) => entry.setStatus("connecting", reason));
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
    this.#connection?.close();
    this.#connection = undefined;
    this.#openedAt = undefined;
  }

  /** Logs out at WhatsApp if connected, and erases the credentials. Runs in the number's queue. */
  async unlink(reason: Extract<SessionReason, "unlinked" | "logged_out">): Promise<boolean> {
    const wasLinked = this.#isLinked;
    if (this.#connection && this.isOpen && reason === "unlinked") await this.#connection.logout();
    this.close();
    await this.#journal.commit(async (entry) => {
      await eraseAuth(entry.tx, this.#journal.fence);
      await entry.setStatus("disconnected", wasLinked ? reason : "not_linked");
    });
    this.#isLinked = false;
    this.#attempts = 0;
    return wasLinked;
  }

  async #connect(generation: number): Promise<void> {
    const release = await this.#context.opener.enter(this.#signal);
    if (generation !== this.#generation) {
      release();
      return;
    }
    this.#releasePlace = release;
    const { companyId, numberId } = this.#number;
    const connection = await this.#context.provider.login(
      { fence: this.#journal.fence, companyId, numberId },
      {
        onOpen: () => this.#post(generation, () => this.#opened()),
        onClosed: (end) => this.#post(generation, () => this.#closed(end)),
        onFenced: () => this.#context.onFenced(this.#number.numberNo),
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
      await this.#queue.add(() =>
        this.#journal.commit((entry) => entry.setStatus("disconnected", "not_linked")),
      );
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
    this.close();
    this.#later(backoffMs((this.#attempts += 1), this.#context.backoff), "reconnecting");
  }

  async #opened(): Promise<void> {
    this.#leavePlace();
    this.#openedAt = this.#context.clock.monotonic();
    await this.#journal.commit(async (entry) => {
      await entry.setStatus("connected", "open");
      await this.#journal.noteHealth(entry.tx, {
        reconnectAttempts: this.#attempts,
        isAlive: true,
      });
    });
    this.#context.copies.session(this.#number, "connected", this.#journal.phone);
  }

  async #closed(end: ConnectionEnd): Promise<void> {
    const wasHealthy =
      this.#openedAt !== undefined &&
      this.#context.clock.monotonic() - this.#openedAt >= HEALTHY_MS;
    this.close();
    if (wasHealthy) this.#attempts = 0;
    const rule = closingRule(end.code);
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
        await this.#journal.commit(async (entry) => {
          await entry.setStatus("connecting", "reconnecting");
          await this.#journal.noteHealth(entry.tx, {
            reconnectAttempts: this.#attempts,
            isAlive: false,
          });
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
    await this.#journal.commit((entry) =>
      entry.setStatus(SESSION_REASONS[reason].status, reason, until === undefined ? {} : { until }),
    );
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

/**
 * Carries out one pairing attempt: feeds the pure machine, commits what it decides, and owns the
 * connection and the timers. Every method runs in the number's queue.
 */
import {
  newAttemptId,
  PAIRING,
  pairingStarted,
  type AttemptId,
  type ErrorCode,
  type ErrorFacts,
  type PairingMethod,
  type Phone,
} from "@manyline/contracts";
import { insertAttempt, isUnavailable, watchedUntil } from "@manyline/db";
import { closingRule } from "../domain/closing-reasons.ts";
import {
  newAttempt,
  step,
  type Attempt,
  type PairingEffect,
  type PairingInput,
  type PairingTimer,
} from "../domain/pairing-machine.ts";
import { backoffMs } from "../domain/backoff.ts";
import type { ConnectionEnd, LinkConnection } from "../providers/provider.ts";
import { recordEffects, type Shown } from "./pairing-record.ts";
import { limitFacts, spendCode } from "./pairing-limits.ts";
import type { RunnerParts, Waiting } from "./pairing-parts.ts";
import { PhoneTaken, recordLink } from "./pairing-success.ts";
import { QueuedTimers } from "./queued-timers.ts";

/** How long WhatsApp may take to ask for the restart that follows a link. */
const RESTART_MS = 10_000;
/** How often it is looked whether anybody watches. */
const WATCH_CHECK_MS = 2_000;

export class PairingRunner {
  readonly attemptId: AttemptId = newAttemptId();
  readonly #parts: RunnerParts;
  readonly #timers: QueuedTimers<PairingTimer | "watch" | "reopen" | "restart">;
  readonly #startedAt: number;
  #attempt: Attempt;
  #connection: LinkConnection | undefined;
  #generation = 0;
  #waiting: Waiting[] = [];
  #shown: Shown = { text: undefined, issuedAt: undefined, expiresAt: undefined, codesLeft: 0 };
  /** Facts that explain a refusal, for the command's answer. */
  #facts: ErrorFacts = {};

  constructor(parts: RunnerParts, method: PairingMethod, phone: Phone | null) {
    this.#parts = parts;
    this.#attempt = newAttempt(method, phone);
    const { clock } = parts.context;
    this.#startedAt = clock.monotonic();
    this.#timers = new QueuedTimers(clock, parts.queue, parts.signal, (error) =>
      this.#fault(error),
    );
  }

  get attempt(): Attempt {
    return this.#attempt;
  }
  /** The phone has accepted; the connection is about to be replaced by a login. */
  get isLinked(): boolean {
    return this.#attempt.outcome === "succeeded";
  }

  /** The phone a switch would ask a code for was changed by a person. */
  changeFallback(phone: Phone | null): void {
    if (this.#attempt.method === "qr") this.#attempt = { ...this.#attempt, phone };
  }

  /** Stores the attempt and opens its connection. `finishes`: a command whose answer is the attempt's id. */
  async start(finishes: string | undefined): Promise<void> {
    const { journal } = this.#parts;
    const { method, phone } = this.#attempt;
    await journal.commit(async (entry) => {
      await insertAttempt(entry.tx, journal.fence, {
        attemptId: this.attemptId,
        method,
        state: "starting",
        phone: method === "code" ? phone : null,
        max: PAIRING.maxQr,
      });
      entry.emit(pairingStarted, {
        attemptId: this.attemptId,
        method,
        phone: method === "code" ? phone : null,
      });
      await entry.setStatus("connecting", "pairing");
      if (finishes) {
        await entry.finish(finishes, { state: "done", result: { attemptId: this.attemptId } });
      }
    });
    this.#open();
    if (method === "qr") this.#checkWatch();
  }

  /** The command's answer comes with the code. A code that is shown already answers at once. */
  async join(waiting: Waiting): Promise<void> {
    if (this.#attempt.state !== "code") {
      this.#waiting.push(waiting);
      return;
    }
    await this.#parts.journal.commit(async (entry) => {
      await entry.finish(waiting.commandId, { state: "done", result: this.#codeResult() });
    });
  }

  async stop(outcome: "cancelled" | "replaced" | "failed", errorCode?: ErrorCode): Promise<void> {
    await this.handle({ kind: "stop", outcome, ...(errorCode === undefined ? {} : { errorCode }) });
  }

  /** Lets go without a word to the database: the number is not ours any more. */
  abandon(): void {
    this.#generation += 1;
    this.#timers.clear();
    this.#connection?.close();
    this.#connection = undefined;
  }

  async handle(input: PairingInput): Promise<void> {
    const { attempt, effects } = step(this.#attempt, input, this.#parts.context.pairing);
    if (effects.length === 0) {
      this.#attempt = attempt;
      return;
    }
    await this.#perform(attempt, effects);
  }

  /** The phone accepted: credentials, attempt and event commit together before WhatsApp is answered. */
  async paired(phone: Phone, credentials: Buffer): Promise<void> {
    const { journal, context, number } = this.#parts;
    if (this.#attempt.state === "ended") throw new Error("the attempt is over");
    const { attempt } = step(this.#attempt, { kind: "paired" }, context.pairing);
    try {
      await recordLink(context, journal, {
        attemptId: this.attemptId,
        method: this.#attempt.method,
        phone,
        credentials,
        waiting: this.#waiting.map((one) => one.commandId),
      });
    } catch (error) {
      if (error instanceof PhoneTaken) await this.stop("failed", "PHONE_ALREADY_LINKED");
      throw error;
    }
    this.#attempt = attempt;
    this.#timers.clear();
    context.copies.pairingEnded(number);
    this.#parts.onEnded(true);
    // WhatsApp asks to start again (515). If it does not, we do it ourselves: the credentials are stored.
    this.#timers.set("restart", RESTART_MS, () => this.#connection?.close());
  }

  // ---- connection -----------------------------------------------------------------------------

  #open(): void {
    const { context, number, journal } = this.#parts;
    const generation = (this.#generation += 1);
    this.#connection?.close();
    const post = (input: () => PairingInput | Promise<PairingInput>): void =>
      this.#post(generation, async () => this.handle(await input()));
    this.#connection = context.provider.link(
      { ...number, fence: journal.fence },
      {
        onReady: () => post(async () => ({ kind: "ready", watched: await this.#isWatched() })),
        onRotated: () => this.#await(generation, () => this.handle({ kind: "rotated" })),
        onPhoneAnswered: () => post(() => ({ kind: "phone_answered" })),
        onCodeRetired: () => post(() => ({ kind: "code_retired" })),
        onPasskey: ({ options, expiresInMs }) => {
          this.#shown = { ...this.#shown, passkey: options };
          post(() => ({ kind: "passkey", expiresInMs: context.clock.scaled(expiresInMs) }));
        },
        onPaired: ({ phone, credentials }) =>
          this.#await(generation, () => this.paired(phone, credentials)),
        onClosed: (end) => this.#post(generation, () => this.#closed(end)),
      },
    );
  }

  async #closed(end: ConnectionEnd): Promise<void> {
    this.#connection = undefined;
    if (this.#attempt.outcome === "succeeded") {
      this.#timers.clear();
      this.#parts.onLinkClosed();
      return;
    }
    const rule = closingRule(end.code);
    this.#parts.context.reports.closed(this.#parts.number, end, rule.reaction);
    if (rule.reaction === "fleet_stop") this.#parts.context.gate.close();
    const canReopen = ["reconnect", "reconnect_slowly", "restart"].includes(rule.reaction);
    this.#shown = { ...this.#shown, closing: canReopen ? undefined : rule.reason };
    await this.handle({
      kind: "closed",
      canReopen,
      errorCode: canReopen ? "PAIRING_CODE_FAILED" : "WHATSAPP_REFUSED",
    });
  }

  async #askCode(): Promise<void> {
    const { context, number } = this.#parts;
    const { phone } = this.#attempt;
    const generation = this.#generation;
    if (phone === null || !this.#connection) return;
    // A code nobody waits for any more must ring no phone. After a switch the page waits, not a command.
    const now = context.clock.now();
    const isLate = !this.#attempt.switched && this.#waiting.every((one) => one.deadlineAt <= now);
    if (isLate) {
      await this.handle({ kind: "code_refused", errorCode: "COMMAND_TIMEOUT" });
      return;
    }
    const spent = await spendCode(context, number, phone);
    if (!spent) {
      await this.handle({ kind: "code_refused", errorCode: "UNAVAILABLE" });
      return;
    }
    this.#shown = { ...this.#shown, codesLeft: spent.codesLeft };
    if (!spent.allowed) {
      this.#facts = limitFacts(context, spent);
      this.#shown = { ...this.#shown, refusedBy: spent };
      await this.handle({ kind: "code_refused", errorCode: "RATE_LIMITED" });
      if (spent.until && spent.scope === "company")
        context.onBlocked(number.companyNo, spent.until);
      return;
    }
    // WhatsApp may take seconds; the number's queue stays free for a cancel meanwhile.
    const connection = this.#connection;
    void connection
      .requestCode(phone)
      .then((answer) =>
        this.#post(generation, async () => {
          if ("code" in answer) {
            this.#shown = { ...this.#shown, text: answer.code };
            await this.handle({ kind: "code_accepted" });
          } else {
            this.#facts = { detail: answer.detail };
            await this.handle({ kind: "code_refused", errorCode: answer.refused });
          }
        }),
      )
      .catch((error: unknown) => {
        this.#fault(error);
        this.#post(generation, () =>
          this.handle({ kind: "code_refused", errorCode: "PAIRING_CODE_FAILED" }),
        );
      });
  }

  // ---- effects --------------------------------------------------------------------------------

  async #perform(attempt: Attempt, effects: PairingEffect[]): Promise<void> {
    const { context, journal, number } = this.#parts;
    for (const effect of effects) {
      if (effect.kind !== "show_qr") continue;
      const text = effect.redraw ? this.#connection?.redraw() : this.#connection?.nextQr();
      if (text === undefined) {
        // WhatsApp gave fewer refs than QRs are shown: another socket of the same attempt goes on counting.
        this.#attempt = { ...attempt, k: attempt.k - 1, state: "starting" };
        this.#open();
        return;
      }
      this.#shown = { ...this.#shown, text };
    }
    const waiting = this.#waiting;
    const shown = await recordEffects({
      context,
      journal,
      number,
      attemptId: this.attemptId,
      before: this.#attempt,
      attempt,
      effects,
      shown: this.#shown,
      facts: this.#facts,
      finish: waiting.map((one) => one.commandId),
      resting: this.#parts.resting(),
    });
    this.#shown = shown;
    this.#attempt = attempt;
    for (const effect of effects) {
      switch (effect.kind) {
        case "code_issued":
          this.#waiting = [];
          break;
        case "ask_code":
          await this.#askCode();
          break;
        case "set_timer":
          this.#setTimer(effect.timer, effect.ms);
          break;
        case "clear_timers":
          this.#timers.clear();
          if (attempt.method === "qr" && attempt.state !== "ended") this.#checkWatch();
          break;
        case "reopen":
          this.#timers.set("reopen", backoffMs(attempt.drops, context.backoff), () => this.#open());
          break;
        case "ended":
          this.abandon();
          context.copies.pairingEnded(number);
          this.#parts.onEnded(false);
          break;
        case "show_qr":
        case "code_expired":
        case "linking":
        case "qr_exhausted":
        case "phone_missing":
        case "passkey_required":
          break;
      }
    }
  }

  #codeResult(): object {
    return {
      attemptId: this.attemptId,
      issuedAt: this.#shown.issuedAt?.toISOString(),
      expiresAt: this.#shown.expiresAt?.toISOString(),
      codesLeft: this.#shown.codesLeft,
    };
  }

  // ---- time -----------------------------------------------------------------------------------

  #setTimer(timer: PairingTimer, ms: number): void {
    this.#timers.set(timer, ms, async () =>
      this.handle({ kind: "timer", timer, watched: await this.#isWatched() }),
    );
  }

  #checkWatch(): void {
    this.#timers.set("watch", WATCH_CHECK_MS, async () => {
      const { clock, pairing } = this.#parts.context;
      const isYoung = clock.monotonic() - this.#startedAt < pairing.unwatchedMs;
      if (!isYoung && !(await this.#isWatched())) await this.handle({ kind: "unwatched" });
      else if (this.#attempt.method === "qr" && this.#attempt.state !== "ended") this.#checkWatch();
    });
  }

  async #isWatched(): Promise<boolean> {
    const { context, number } = this.#parts;
    try {
      const until = (await watchedUntil(context.db, [number.numberNo])).get(number.numberNo);
      return until !== undefined && until > context.clock.now();
    } catch (error) {
      // Whoever watches cannot say so either while Postgres is away.
      if (isUnavailable(error)) return true;
      throw error;
    }
  }

  /** What an older connection, or one of a number that was let go, still says does not count. */
  #isStale(generation: number): boolean {
    return generation !== this.#generation || this.#parts.signal.aborted;
  }

  #post(generation: number, task: () => Promise<void>): void {
    this.#parts.queue
      .add(async () => {
        if (!this.#isStale(generation)) await task();
      })
      .catch((error: unknown) => this.#fault(error));
  }

  /** For what WhatsApp's answer waits for: a stale one is refused, not passed over as done. */
  #await(generation: number, task: () => Promise<void>): Promise<void> {
    return this.#parts.queue.add(async () => {
      if (this.#isStale(generation)) throw new Error("the attempt was let go");
      await task();
    });
  }

  #fault(error: unknown): void {
    if (!this.#parts.signal.aborted)
      this.#parts.context.reports.failed("pairing", this.#parts.number, error);
  }
}

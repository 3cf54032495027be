/**
 * One number of this worker: its queue, its connection or its pairing attempt, and its commands. There is
 * exactly one actor per owned number and epoch; it ends when the number is let go.
 */
import {
  messageError,
  type CommandArgs,
  type ErrorCode,
  type ErrorFacts,
  type Phone,
} from "@manyline/contracts";
import {
  FencedError,
  type CommandRow,
  type Fence,
  type OverdueSend,
  type OwnedNumber,
} from "@manyline/db";
import { withSpan } from "@manyline/runtime";
import type { RecycleReason } from "../domain/line-watch.ts";
import type { WorkerContext } from "./context.ts";
import { tellBlocked, tellUnblocked, type CooldownFacts } from "./cooldown.ts";
import { runErrand, type ErrandParts } from "./errands.ts";
import { NumberJournal } from "./journal.ts";
import { askForPhone, endOrphans } from "./pairing-notes.ts";
import { isWanted, Pairings } from "./pairings.ts";
import { SerialQueue } from "./serial-queue.ts";
import type { Outbox } from "./outbox.ts";
import { SessionKeeper } from "./session-keeper.ts";
import { createTraffic, type NumberTraffic } from "./traffic.ts";

const RELEASE_MS = 2_000;
/** Whoever unlinks waits so long for a connection that is being opened. */
const UNLINK_MS = 5_000;
/** What it takes to store an answer and have it read before its deadline. */
const ANSWER_MS = 1_500;

export class NumberActor {
  #number: OwnedNumber;
  readonly #context: WorkerContext;
  readonly #queue = new SerialQueue();
  readonly #abort = new AbortController();
  readonly #journal: NumberJournal;
  readonly #keeper: SessionKeeper;
  readonly #traffic: NumberTraffic;
  readonly #pairings: Pairings;
  /** Commands that are done beside the queue. */
  #errands = 0;

  constructor(context: WorkerContext, number: OwnedNumber) {
    this.#context = context;
    this.#number = number;
    this.#journal = new NumberJournal(context, number, this.#abort.signal);
    const { signal } = this.#abort;
    this.#traffic = createTraffic(context, () => this.#number, this.#journal, signal);
    const { handlers } = this.#traffic;
    this.#keeper = new SessionKeeper(context, number, this.#journal, this.#queue, signal, handlers);
    this.#pairings = new Pairings({
      context,
      number: () => this.#number,
      journal: this.#journal,
      queue: this.#queue,
      signal,
      keeper: this.#keeper,
      settle: () => this.#settle(),
      done: (command, result) => this.#done(command, result),
      refuse: (command, code) => this.#refuse(command, code),
      run: (what, task) => this.#run(what, task),
    });
  }

  get number(): OwnedNumber {
    return this.#number;
  }
  get fence(): Fence {
    return this.#journal.fence;
  }
  get isOpen(): boolean {
    return this.#keeper.isOpen;
  }
  get outbox(): Outbox {
    return this.#traffic.outbox;
  }
  /** It has credentials and a person wants it connected. */
  get shouldBeOpen(): boolean {
    return isWanted(this.#number) && this.#keeper.isLinked;
  }
  /** Resolves when the number is served: its first opening has led to something, or there is none to do. */
  get served(): Promise<void> {
    return this.#keeper.firstOutcome;
  }

  /** What a former owner left half done is ended; a linked number that should be connected is opened. */
  start(): void {
    this.#traffic.inbound.start();
    void this.#run("start", async () => {
      if (this.#number.hasLiveAttempt) {
        await endOrphans(this.#journal);
        this.#keeper.allowScan();
      }
      await this.#settle();
      if (!this.shouldBeOpen || this.#journal.status !== "connecting")
        this.#keeper.noteNothingToOpen();
    });
  }

  /** The worker may send and receive again. */
  heard(): void {
    this.#keeper.heard();
  }

  /** The gateway changed the number or its company. */
  changed(number: OwnedNumber): void {
    void this.#run("change", async () => {
      const before = this.#number;
      const isMeta = number.provider === "meta";
      if (isMeta) this.#keeper.noteToken(number.isLinked);
      this.#number = { ...number, isLinked: this.#keeper.isLinked };
      this.#journal.notePhone(number.phone as Phone | null);
      this.#pairings.noteChanged();
      if (
        before.desiredState !== number.desiredState ||
        before.companyEnabled !== number.companyEnabled
      ) {
        await this.#settle();
      } else if (isMeta && this.shouldBeOpen && number.updatedAt > before.updatedAt) {
        // Place or token may be others now: Meta is asked again, and nothing waits for a restart.
        await this.#keeper.open("reconnecting");
      }
    });
  }

  command(command: CommandRow): void {
    // WhatsApp can be told over the connection that is just being opened; the queue has to go on for that.
    const { isOpening, isScanning } = this.#keeper;
    const isTooEarly = command.verb === "unlink" && isOpening && !isScanning;
    if (!isTooEarly) return this.#take(command);
    const leftMs = command.deadlineAt.getTime() - this.#context.clock.now().getTime();
    const opened = this.#keeper.untilOpen(Math.min(UNLINK_MS, leftMs / 2));
    void this.#beside(
      "unlink",
      opened.then(() => this.#take(command)),
    );
  }

  #take(command: CommandRow): void {
    const { companyId, numberId } = this.#number;
    const span = {
      parent: command.traceparent ?? undefined,
      kind: "consumer",
      attributes: { company_id: companyId, number_id: numberId },
    } as const;
    void this.#run(command.verb, async () => {
      try {
        await withSpan(`command ${command.verb}`, span, () => this.#execute(command));
      } catch (error) {
        // The caller learns at once instead of at the deadline; whether it can be told is another matter.
        if (!(error instanceof FencedError)) await this.#refuse(command, "INTERNAL");
        throw error;
      }
    });
  }

  async #execute(command: CommandRow): Promise<void> {
    switch (command.verb) {
      case "pair_qr":
        return this.#pairings.byQr(command);
      case "pair_code":
        return this.#pairings.byCode(command);
      case "reconnect":
        await this.#done(command, {});
        // What it takes to connect is at its server, whatever became of it before.
        if (this.#number.provider === "wpp") this.#keeper.noteToken(true);
        this.#keeper.allowScan();
        if (!this.#pairings.running && this.shouldBeOpen) await this.#keeper.open("reconnecting");
        return undefined;
      case "cancel_pairing":
        await this.#pairings.running?.stop("cancelled");
        return this.#done(command, {});
      case "ask_phone":
        return askForPhone(this.#journal, this.#number, command, !this.#pairings.fallbackPhone);
      case "unlink": {
        await this.#pairings.running?.stop("cancelled");
        return this.#done(command, await this.#keeper.unlink("unlinked"));
      }
      case "open_wpp":
        // In the queue: of two that come at once, the second finds the client of the first.
        return this.#openWpp(command);
      case "observed":
        this.#keeper.nudge();
        return this.#done(command, {});
      case "check_phones":
      case "check_number":
      case "upload_flow_key":
      case "read_flow_key":
      case "mark_read":
      case "show_typing":
      case "fetch_media":
        // WhatsApp may take its time: the number's queue does not wait for it.
        this.#errands += 1;
        void this.#beside(command.verb, runErrand(this.#errandParts(), command)).finally(() => {
          this.#errands -= 1;
        });
        return undefined;
      default:
        // A newer gateway may know more than this worker does.
        return this.#refuse(command, "INTERNAL");
    }
  }

  async #openWpp(command: CommandRow): Promise<void> {
    const { clock, provider } = this.#context;
    const leftMs = command.deadlineAt.getTime() - clock.now().getTime() - ANSWER_MS;
    const number = { ...this.#number, fence: this.#journal.fence };
    const wish = command.args as CommandArgs<"open_wpp">;
    const found = (await provider.openWpp?.(number, wish, leftMs)) ?? {
      refused: "WPP_NOT_CONFIGURED" as const,
    };
    if ("refused" in found) return this.#refuse(command, found.refused);
    await this.#done(command, found);
    if (found.session === null) return undefined;
    this.#keeper.noteToken(true);
    this.#keeper.allowScan();
    // Whoever is being asked for a scan goes on: the QR on the page stays the one.
    const isUnderWay = wish.branch === "reconnect" && (this.#keeper.isScanning || this.isOpen);
    if (wish.branch === "recreate") await this.#keeper.giveUpScan();
    if (isUnderWay) this.#keeper.nudge();
    else if (this.shouldBeOpen) await this.#keeper.open("opening");
  }

  /** Its server has said something of its session, which is stored: what it says now is asked for. */
  looked(): void {
    void this.#run("look", async () => {
      await this.#journal.sync();
      const { status } = this.#journal;
      if (this.#keeper.nudge()) return;
      // It was brought up by somebody else.
      if (!isWanted(this.#number) || !["connected", "connecting"].includes(status)) return;
      this.#keeper.noteToken(true);
      this.#keeper.allowScan();
      await this.#keeper.open("reconnecting");
    });
  }

  /** Why the number should get a fresh connection, if nothing is under way over the one it has. */
  get recycleDue(): RecycleReason | undefined {
    if (this.#number.provider !== "linked") return undefined;
    const { outbox, watch } = this.#traffic;
    if (!this.isOpen || this.#pairings.running || this.#errands > 0 || !outbox.isIdle)
      return undefined;
    return watch.due(this.#context.clock.monotonic());
  }

  /** Closes the connection and opens another, if that is still due when its turn in the queue comes. */
  async recycle(): Promise<void> {
    await this.#run("recycle", async () => {
      const reason = this.recycleDue;
      if (!reason) return;
      this.#traffic.watch.noteRecycled(reason);
      this.#context.reports.recycled(this.#number, reason);
      await this.#keeper.open("reconnecting");
    });
  }

  /** The time of these is over: they waited too long, or were claimed and may have left. */
  expire(messages: readonly OverdueSend[]): void {
    const state = "expired" as const;
    const waiting = messages.filter((message) => message.state === "queued");
    const statuses = waiting.map(({ messageId, expiresAt: at }) => ({ messageId, state, at }));
    void this.#beside("expire", this.#traffic.statuses.add(statuses));
    const claimed = messages.filter((message) => message.state === "sending");
    void this.#beside(
      "expire",
      this.outbox.giveUpOverdue(claimed.map(({ messageId }) => messageId)),
    );
  }

  /** It will not be known any more whether these were sent. */
  giveUp(messages: readonly { messageId: string }[]): void {
    const [state, at] = ["failed" as const, this.#context.clock.now()];
    const error = messageError("UNKNOWN_OUTCOME");
    const statuses = messages.map(({ messageId }) => ({ messageId, state, at, error }));
    void this.#beside("give up", this.#traffic.statuses.add(statuses));
  }

  #errandParts(): ErrandParts {
    const { connection } = this.#keeper;
    return { context: this.#context, number: this.#number, journal: this.#journal, connection };
  }

  async #beside(what: string, work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#context.reports.failed(what, this.#number, error);
    }
  }

  /** The company's cooldown began: a number without credentials says so. */
  blocked(until: Date): void {
    if (this.#keeper.isLinked) return;
    void this.#run("blocked", () => tellBlocked(this.#journal, this.#cooldownFacts(), until));
    this.#context.copies.blocked(this.#number.companyId, until);
  }

  /** The company's cooldown is over. Resolves when it is told. */
  async unblocked(): Promise<void> {
    await this.#queue.add(async () => {
      if (this.#keeper.isLinked || this.#pairings.running || this.#abort.signal.aborted) return;
      await tellUnblocked(this.#journal, this.#cooldownFacts());
    });
  }

  #cooldownFacts(): CooldownFacts {
    return { provider: this.#number.provider, at: this.#context.clock.now() };
  }

  /**
   * Hands the number over: a live attempt ends, connections close without a word to WhatsApp. Takes at most
   * `RELEASE_MS`: what cannot end by then is ended by the next owner.
   */
  async release(): Promise<void> {
    await this.#traffic.outbox.drain();
    if (this.#pairings.running) {
      const ended = this.#queue
        .add(async () => {
          await this.#pairings.running?.stop("failed", "UNAVAILABLE");
        })
        .catch((error: unknown) => this.#context.reports.failed("release", this.#number, error));
      await Promise.race([ended, this.#context.clock.sleep(RELEASE_MS)]);
    }
    this.drop();
  }

  /** Lets go at once and writes nothing: the number is not ours any more. */
  drop(): void {
    this.#abort.abort(new Error("the number was let go"));
    this.#pairings.abandon();
    this.#keeper.close();
    this.#keeper.noteNothingToOpen();
  }

  // ---- what should be -------------------------------------------------------------------------

  /** Works towards what a person wishes. A start never begins a pairing. */
  async #settle(): Promise<void> {
    if (!isWanted(this.#number)) {
      await this.#pairings.running?.stop("cancelled");
      this.#keeper.close();
      const isLinkedOrOff = this.#keeper.isLinked || this.#journal.reason === "switched_off";
      if (isLinkedOrOff) await this.#rest("switched_off");
    } else if (this.#pairings.running) {
      // The attempt goes on; what comes after it is settled then.
    } else if (this.#keeper.isLinked && !this.#needsScan) {
      if (!this.#keeper.isOpen) await this.#keeper.openOrRest();
    } else if (this.#journal.status !== "error") {
      const { reason } = this.#journal;
      await this.#rest(reason === "unlinked" || reason === "logged_out" ? reason : "not_linked");
    }
  }

  /** Of a WPP number: to open it would show a QR that nobody has asked for. */
  get #needsScan(): boolean {
    const { reason } = this.#journal;
    return (
      this.#number.provider === "wpp" && ["not_linked", "unlinked", "logged_out"].includes(reason)
    );
  }

  async #rest(reason: "switched_off" | "unlinked" | "logged_out" | "not_linked"): Promise<void> {
    await this.#journal.note("disconnected", reason);
  }

  async #done(command: CommandRow, result: object): Promise<void> {
    await this.#journal.commit((entry) =>
      entry.finish(command.commandId, { state: "done", result }),
    );
  }

  async #refuse(command: CommandRow, code: ErrorCode, facts: ErrorFacts = {}): Promise<void> {
    const error = { code, ...facts };
    await this.#journal.commit((entry) =>
      entry.finish(command.commandId, { state: "failed", error }),
    );
  }

  async #run(what: string, task: () => Promise<unknown>): Promise<void> {
    await this.#queue
      .add(async () => {
        if (!this.#abort.signal.aborted) await task();
      })
      .catch((error: unknown) => {
        if (!this.#abort.signal.aborted) this.#context.reports.failed(what, this.#number, error);
      });
  }
}

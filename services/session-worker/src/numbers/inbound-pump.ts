/**
 * From the journal to the world: what came for a number is committed as messages, people and events, in the
 * order in which it was decrypted, and handed to the relay. Entries wait in memory; what does not fit, what a
 * crash left behind and what a former owner did not get to is read from the journal. To commit an entry twice
 * is harmless: the database drops what it has.
 */
import type { CompanyId, NumberId } from "@manyline/contracts";
import {
  FencedError,
  openJournal,
  type InboundItem,
  type InboundSource,
  type OwnedNumber,
} from "@manyline/db";
import { outsideTrace } from "@manyline/runtime";
import type { Received, Told } from "../providers/provider.ts";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";

/** Entries in one commit. Whoever takes the number over waits for it. */
const MOST_AT_ONCE = 64;
/** Entries in memory; more than this stay in the journal alone. */
const MOST_WAITING = 1_000;
/** So long the engine may take to act on what is meant for it. */
const ENGINE_MS = 30_000;

export class InboundPump {
  readonly #context: WorkerContext;
  readonly #number: () => OwnedNumber;
  readonly #journal: NumberJournal;
  readonly #signal: AbortSignal;
  #waiting: Received[] = [];
  /** The journal may hold open entries that are not in memory. They are older than those that are. */
  #mustRead: boolean;
  #isRunning = false;
  /** Entries that stay open for now, by hash: the engine has still to act on them. */
  readonly #forEngine = new Map<string, Buffer>();
  /** Entries that could not be told. They stay in the journal, for the next owner or the next version. */
  readonly #parked = new Set<string>();
  #cancelTimer: (() => void) | undefined;

  constructor(
    context: WorkerContext,
    number: () => OwnedNumber,
    journal: NumberJournal,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
    this.#signal = signal;
    this.#mustRead = number().hasOpenJournal;
    signal.addEventListener("abort", () => this.#cancelTimer?.(), { once: true });
  }

  /** Commits what was left behind, before anything new. */
  start(): void {
    this.#wake();
  }

  /** What was stored just now, in the order of decryption. */
  take(entries: readonly Received[]): void {
    if (this.#waiting.length + entries.length > MOST_WAITING) {
      this.#waiting = [];
      this.#mustRead = true;
    }
    // The reading that is still to come finds them.
    if (!this.#mustRead) this.#waiting.push(...entries);
    this.#wake();
  }

  #wake(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    void outsideTrace(() => this.#run()).catch((error: unknown) => this.#failed("inbound", error));
  }

  async #run(): Promise<void> {
    try {
      while (!this.#signal.aborted && (this.#mustRead || this.#waiting.length > 0)) {
        await this.#commit(
          this.#mustRead ? await this.#read() : this.#waiting.splice(0, MOST_AT_ONCE),
        );
      }
    } finally {
      this.#isRunning = false;
    }
  }

  async #read(): Promise<Received[]> {
    const { db, keyring } = this.#context;
    const limit = MOST_AT_ONCE + this.#forEngine.size + this.#parked.size;
    // What comes from now on may or may not be among what is read.
    this.#mustRead = false;
    try {
      const { entries, unreadable } = await this.#journal.patiently(() =>
        openJournal(db, keyring, this.#journal.fence, limit),
      );
      if (entries.length + unreadable.length === limit) this.#mustRead = true;
      for (const { hash, error } of unreadable) this.#park(hash, error);
      return entries.filter(({ hash }) => {
        const name = hash.toString("hex");
        return !this.#forEngine.has(name) && !this.#parked.has(name);
      });
    } catch (error) {
      this.#mustRead = true;
      throw error;
    }
  }

  async #commit(entries: readonly Received[]): Promise<void> {
    try {
      await this.#commitInOrder(entries);
    } catch (error) {
      if (this.#signal.aborted || error instanceof FencedError) throw error;
      const [only] = entries;
      if (entries.length === 1 && only) this.#park(only.hash, error);
      // One bent message must not hold up the others.
      else for (const entry of entries) await this.#commit([entry]);
    }
  }

  async #commitInOrder(entries: readonly Received[]): Promise<void> {
    let items: InboundItem[] = [];
    for (const entry of entries) {
      const told = this.#context.provider.tell(entry);
      const { complete } = told;
      // Of what nobody is told nothing more is found out or kept.
      if (complete && told.items.some((item) => this.#isTold(item))) {
        await this.#commitItems(items);
        items = [];
        told.items = await this.#journal.patiently(() => complete(this.#journal.fence));
      }
      items.push(...this.#itemsOf(entry, told));
    }
    await this.#commitItems(items);
  }

  async #commitItems(items: readonly InboundItem[]): Promise<void> {
    if (items.length === 0) return;
    const { inboundCommits, relay, reports } = this.#context;
    const { events } = await this.#journal.patiently(() =>
      inboundCommits.add({ source: this.#source(), items }),
    );
    if (events.length === 0) return;
    relay.publish(events);
    reports.inbound(
      this.#number(),
      events.map(({ type }) => type),
    );
  }

  #source(): InboundSource {
    const { companyId, numberId, provider } = this.#number();
    return {
      fence: this.#journal.fence,
      companyId: companyId as CompanyId,
      numberId: numberId as NumberId,
      provider,
      phone: this.#journal.phone,
      service: "session-worker",
    };
  }

  /** With the last of its items an entry is done. */
  #itemsOf(entry: Received, told: Told): InboundItem[] {
    const items = told.items.filter((item) => this.#isTold(item));
    if (told.isForEngine) {
      this.#leaveToEngine(entry);
      return items;
    }
    const last = items.pop() ?? { kind: "nothing" as const };
    return [...items, { ...last, journal: [entry.hash] }];
  }

  /** Groups have a switch of their own. */
  #isTold(item: InboundItem): boolean {
    return this.#number().groupMessages || !("chat" in item) || item.chat.type !== "group";
  }

  #leaveToEngine({ hash }: Received): void {
    this.#forEngine.set(hash.toString("hex"), hash);
    this.#settleLater();
  }

  #settleLater(): void {
    this.#cancelTimer ??= this.#context.clock.setTimer(ENGINE_MS, () => {
      this.#cancelTimer = undefined;
      void this.#settleForEngine();
    });
  }

  async #settleForEngine(): Promise<void> {
    const hashes = [...this.#forEngine.values()];
    try {
      await this.#commitItems([{ kind: "nothing", journal: hashes }]);
      for (const hash of hashes) this.#forEngine.delete(hash.toString("hex"));
    } catch (error) {
      // Else the next owner finds them open and settles them.
      if (!this.#signal.aborted && !(error instanceof FencedError)) this.#settleLater();
      this.#failed("inbound", error);
    }
  }

  /** What is left is in the journal; if the number was let go, it is not ours to tell any more. */
  #failed(what: string, error: unknown): void {
    if (this.#signal.aborted || error instanceof FencedError) return;
    this.#context.reports.failed(what, this.#number(), error);
  }

  #park(hash: Buffer, error: unknown): void {
    const name = hash.toString("hex");
    if (this.#parked.has(name)) return;
    this.#parked.add(name);
    this.#failed("inbound_entry", error);
  }
}

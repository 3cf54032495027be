/** Keeps webhooks as they came, many in one insert, so that they can be answered before they are committed. */
import { type Database, isUnavailable, journalWebhooks } from "@manyline/db";
import type { Clock } from "@manyline/runtime";
import type { Taken } from "./taken.ts";

const AT_ONCE = 256;
/** From one insert to the next: what comes meanwhile shares it, since an insert costs more than what is in it. */
const EVERY_MS = 4;
/** So many need not wait for others. */
const ENOUGH = 16;
/** Whether webhooks press is judged over so long, ms: … */
const WINDOW_MS = 50;
/** … that many of its inserts had no rest before the next, … */
const UNRESTED = 0.75;
/** … and this process was busy for so much of it. A slow disk alone is no reason to commit later. */
const BUSY = 0.7;

export type Journaled = Taken & { entryNo: number };
export type JournalOptions = {
  db: Database;
  clock: Clock;
  /** Resolves when more may be inserted; undefined: now. */
  room: () => Promise<void> | undefined;
};
type Waiting = { webhook: Taken } & PromiseWithResolvers<Journaled>;

const newWindow = (startedAt: number) => ({
  startedAt,
  inserts: 0,
  unrested: 0,
  used: performance.eventLoopUtilization(),
});

export class Journal {
  readonly #options: JournalOptions;
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  #window = newWindow(0);
  #isPressed = false;
  #endRest: (() => void) | undefined;
  #pump: Promise<void> | undefined;

  constructor(options: JournalOptions) {
    this.#options = options;
  }

  /** Bytes of webhooks that wait for their insert. */
  get waitingBytes(): number {
    return this.#weight;
  }

  /** Webhooks come faster than this process can answer and commit them. */
  get isPressed(): boolean {
    const isOver = this.#options.clock.monotonic() - this.#window.startedAt > 2 * WINDOW_MS;
    return this.#isPressed && !isOver;
  }

  /** Resolves to the webhook with its entry, once that is there; rejects when it is not. */
  async add(webhook: Taken): Promise<Journaled> {
    const weight = webhook.raw.length;
    const one = { webhook, ...Promise.withResolvers<Journaled>() };
    this.#weight += weight;
    this.#waiting.push(one);
    if (this.#waiting.length >= ENOUGH) this.#endRest?.();
    this.#pump ??= this.#run();
    try {
      return await one.promise;
    } finally {
      this.#weight -= weight;
    }
  }

  async idle(): Promise<void> {
    await this.#pump;
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    while (this.#waiting.length > 0) {
      await this.#options.room();
      const startedAt = clock.monotonic();
      await this.#insert(this.#waiting.splice(0, AT_ONCE));
      const isEnough = this.#waiting.length >= ENOUGH;
      const isRested = !isEnough && (await this.#rest(startedAt + EVERY_MS - clock.monotonic()));
      this.#judge(isRested);
    }
    // In the same breath: what comes after the last look at what waits needs another run.
    this.#pump = undefined;
  }

  /** Until enough wait, or the time is over. False: enough did. */
  async #rest(ms: number): Promise<boolean> {
    if (ms <= 0) return true;
    const rest = new AbortController();
    this.#endRest = () => rest.abort();
    await this.#options.clock.sleep(ms, rest.signal).catch(() => undefined);
    this.#endRest = undefined;
    return !rest.signal.aborted;
  }

  #judge(isRested: boolean): void {
    const now = this.#options.clock.monotonic();
    const window = this.#window;
    window.inserts += 1;
    if (!isRested) window.unrested += 1;
    if (now - window.startedAt < WINDOW_MS) return;
    this.#window = newWindow(now);
    const { utilization } = performance.eventLoopUtilization(this.#window.used, window.used);
    this.#isPressed = utilization >= BUSY && window.unrested >= UNRESTED * window.inserts;
  }

  async #insert(some: readonly Waiting[]): Promise<void> {
    try {
      const entryNos = await journalWebhooks(
        this.#options.db,
        some.map(({ webhook }) => webhook),
      );
      for (const [place, { webhook, resolve, reject }] of some.entries()) {
        const entryNo = entryNos[place];
        if (entryNo === undefined) reject(new Error("the journal gave no number"));
        else resolve({ ...webhook, entryNo });
      }
    } catch (error) {
      // One that cannot be kept, of a company that has just been deleted, leaves the others alone.
      const isSplit = some.length > 1 && !isUnavailable(error);
      for (const one of some) {
        if (isSplit) await this.#insert([one]);
        else one.reject(error);
      }
    }
  }
}

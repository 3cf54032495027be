/** Keeps webhooks as they came, many in one insert, so that they can be answered before they are committed. */
import { type Database, type IngestWebhook, journalWebhooks } from "@manyline/db";
import type { Clock } from "@manyline/runtime";
import { BusyError } from "./micro-batcher.ts";

const AT_ONCE = 256;
/** From one insert to the next: what comes meanwhile shares it, since an insert costs more than what is in it. */
const EVERY_MS = 4;

export type Journaled = IngestWebhook & { entryNo: number };
type Waiting = { webhook: IngestWebhook } & PromiseWithResolvers<Journaled>;

export class Journal {
  readonly #options: { db: Database; clock: Clock; waitingBytes: number };
  readonly #waiting: Waiting[] = [];
  #weight = 0;
  #pump: Promise<void> | undefined;

  /** `waitingBytes`: of webhooks that wait for their insert at most; then `add` rejects with BusyError. */
  constructor(options: { db: Database; clock: Clock; waitingBytes: number }) {
    this.#options = options;
  }

  get waitingBytes(): number {
    return this.#weight;
  }

  /** Resolves to the webhook with its entry, once that is there; rejects when it is not. */
  async add(webhook: IngestWebhook): Promise<Journaled> {
    const weight = webhook.raw.length;
    if (this.#weight > 0 && this.#weight + weight > this.#options.waitingBytes)
      throw new BusyError("too much waits for the journal");
    const one = { webhook, ...Promise.withResolvers<Journaled>() };
    this.#weight += weight;
    this.#waiting.push(one);
    this.#pump ??= this.#run().finally(() => {
      this.#pump = undefined;
    });
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
      const startedAt = clock.monotonic();
      await this.#insert(this.#waiting.splice(0, AT_ONCE));
      const restMs = startedAt + EVERY_MS - clock.monotonic();
      if (restMs > 0) await clock.sleep(restMs);
    }
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
      for (const { reject } of some) reject(error);
    }
  }
}

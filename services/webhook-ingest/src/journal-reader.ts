/** Commits what was left in the journal: by a process that died, in an outage, or for want of room. */
import { type Database, oldEntries, type WebhookEntry } from "@manyline/db";
import type { Clock, Logger } from "@manyline/runtime";
import type { Ingestor } from "./ingestor.ts";
import type { Journaled } from "./journal.ts";
import type { Reports } from "./reports.ts";
import { takenOf } from "./taken.ts";

const EVERY_MS = 1_000;
/** Younger ones are left to the process that has answered them. */
const OLD_MS = 2_000;
const AT_ONCE = 128;
const BYTES_AT_ONCE = 8 * 1024 * 1024;
/** Whoever has so many of its own to commit looks for no others. */
const OWN = 256;

export type JournalReaderOptions = {
  db: Database;
  ingestor: Pick<Ingestor, "journaled" | "takeJournaled">;
  clock: Clock;
  logger: Logger;
  reports: Pick<Reports, "notStored">;
};

export class JournalReader {
  readonly #options: JournalReaderOptions;
  /** Entries that this version cannot read; they stay. */
  readonly #unreadable = new Set<number>();
  readonly #stopping = new AbortController();
  #loop: Promise<void> | undefined;

  constructor(options: JournalReaderOptions) {
    this.#options = options;
  }

  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await this.#round()));
      } catch (error) {
        logger.debug({ event: "journal.failed", err: error }, "the journal was not read");
      }
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** False: there is nothing more for now, or not all of it could be committed. */
  async #round(): Promise<boolean> {
    const { db, ingestor } = this.#options;
    const own = ingestor.journaled;
    if (own.size >= OWN) return false;
    const entries = await oldEntries(db, {
      olderThanMs: OLD_MS,
      except: [...own, ...this.#unreadable],
      limit: AT_ONCE,
      bytes: BYTES_AT_ONCE,
    });
    const taken = await Promise.all(
      entries.map(async (entry) => {
        const webhook = this.#read(entry);
        return webhook === undefined || ingestor.takeJournaled(webhook);
      }),
    );
    return taken.length > 0 && taken.every(Boolean);
  }

  #read({ entryNo, payload, app }: WebhookEntry): Journaled | undefined {
    try {
      return { ...takenOf(payload, app), entryNo };
    } catch (error) {
      this.#unreadable.add(entryNo);
      this.#options.reports.notStored(error);
      return undefined;
    }
  }
}

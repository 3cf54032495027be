/** Chores of the whole system, done by one worker at a time under a lease row: retention and partitions. */
import {
  expireCommands,
  forgetDroppedFiles,
  housekeeping,
  listDroppedFiles,
  tryHousekeeping,
  type Database,
} from "@manyline/db";
import type { MediaStore } from "@manyline/media";
import type { Logger } from "@manyline/runtime";

const EVERY_MS = 5_000;
const RETENTION_EVERY_MS = 55_000;
const EXPIRY_EVERY_MS = 4_500;
const FILES_EVERY_MS = 29_000;
const FILES_AT_ONCE = 500;
const OLD_FILES_EVERY_MS = 86_000_000;
/** A day longer than their rows: what is older and still there was left behind by a crash. */
const OLD_FILES_MS = 91 * 86_400_000;

export class Housekeeper {
  readonly #db: Database;
  readonly #workerId: string;
  readonly #logger: Logger;
  readonly #eventDays: number;
  readonly #media: MediaStore;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: {
    db: Database;
    media: MediaStore;
    workerId: string;
    logger: Logger;
    eventDays: number;
  }) {
    this.#db = parts.db;
    this.#media = parts.media;
    this.#workerId = parts.workerId;
    this.#logger = parts.logger;
    this.#eventDays = parts.eventDays;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), EVERY_MS);
    this.#tick();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  #tick(): void {
    this.#running = this.#sweep().catch((error: unknown) => {
      this.#logger.warn({ event: "housekeeping.failed", err: error }, "housekeeping failed");
    });
  }

  async #sweep(): Promise<void> {
    // A dead command is told as dead soon; whoever waited for it has its answer already.
    if (await this.#isMine("expiry", EXPIRY_EVERY_MS)) await expireCommands(this.#db);
    if (await this.#isMine("files", FILES_EVERY_MS)) await this.#removeFiles();
    if (!(await this.#isMine("retention", RETENTION_EVERY_MS))) return;
    const removed = await housekeeping(this.#db, { eventDays: this.#eventDays });
    this.#logger.info({ event: "housekeeping.done", ...removed }, "housekeeping done");
  }

  /** Files whose rows are gone; first those that are known, once a day those that a crash has left. */
  async #removeFiles(): Promise<void> {
    const removed: string[] = [];
    try {
      for (const location of await listDroppedFiles(this.#db, FILES_AT_ONCE)) {
        await this.#media.remove(location);
        removed.push(location);
      }
      if (await this.#isMine("old_files", OLD_FILES_EVERY_MS)) {
        await this.#media.removeOlder(new Date(Date.now() - OLD_FILES_MS));
      }
    } catch (error) {
      // The store is away: the rest stays on the list.
      this.#logger.warn({ event: "housekeeping.files_failed", err: error }, "files not removed");
    }
    if (removed.length > 0) await forgetDroppedFiles(this.#db, removed);
  }

  /** Nobody else does it within the time. */
  #isMine(task: string, everyMs: number): Promise<boolean> {
    return tryHousekeeping(this.#db, task, this.#workerId, everyMs);
  }
}

/** Chores of the whole system, done by one worker at a time under a lease row: retention and partitions. */
import { expireCommands, housekeeping, tryHousekeeping, type Database } from "@manyline/db";
import type { Logger } from "@manyline/runtime";

const EVERY_MS = 5_000;
const RETENTION_EVERY_MS = 55_000;
const EXPIRY_EVERY_MS = 4_500;

export class Housekeeper {
  readonly #db: Database;
  readonly #workerId: string;
  readonly #logger: Logger;
  readonly #eventDays: number;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(db: Database, workerId: string, logger: Logger, eventDays: number) {
    this.#db = db;
    this.#workerId = workerId;
    this.#logger = logger;
    this.#eventDays = eventDays;
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
    if (!(await this.#isMine("retention", RETENTION_EVERY_MS))) return;
    const removed = await housekeeping(this.#db, { eventDays: this.#eventDays });
    this.#logger.info({ event: "housekeeping.done", ...removed }, "housekeeping done");
  }

  /** Nobody else does it within the time. */
  #isMine(task: string, everyMs: number): Promise<boolean> {
    return tryHousekeeping(this.#db, task, this.#workerId, everyMs);
  }
}

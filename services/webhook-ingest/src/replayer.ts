/** Reads webhooks again that belonged to nobody, when somebody asks for it. */
import {
  claimReplays,
  type Database,
  endReplays,
  giveUpReplays,
  type IngestWebhook,
  type Replay,
} from "@manyline/db";
import type { Clock, Logger } from "@manyline/runtime";
import type { CompanyApps } from "./apps.ts";
import type { Ingestor } from "./ingestor.ts";
import type { Reports } from "./reports.ts";
import { readTaken } from "./taken.ts";

const EVERY_MS = 1_000;
const AT_ONCE = 50;

export type ReplayerOptions = {
  db: Database;
  ingestor: Pick<Ingestor, "commitNow">;
  apps: CompanyApps;
  clock: Clock;
  logger: Logger;
  reports: Reports;
};

export class Replayer {
  readonly #options: ReplayerOptions;
  #loop: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(options: ReplayerOptions) {
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
        while (!signal.aborted && (await this.#round()) === AT_ONCE);
      } catch (error) {
        logger.debug({ event: "replay.failed", err: error }, "not replayed");
      }
      await clock.sleep(EVERY_MS, signal).catch(() => undefined);
    }
  }

  /** Returns how many were looked at. */
  async #round(): Promise<number> {
    const { db, reports } = this.#options;
    const replays = await claimReplays(db, AT_ONCE);
    for (const replay of replays) await this.#replay(replay);
    if (replays.length > 0) reports.replayed(replays.length);
    return replays.length;
  }

  async #replay(replay: Replay): Promise<void> {
    const { db, ingestor, logger } = this.#options;
    try {
      const webhook = await this.#read(replay);
      if (webhook) {
        await ingestor.commitNow([webhook]);
        await endReplays(db, [replay]);
        return;
      }
    } catch (error) {
      const fields = { event: "replay.impossible", unroutable_no: replay.unroutableNo, err: error };
      logger.warn(fields, "a webhook cannot be replayed");
    }
    await giveUpReplays(db, [replay]);
  }

  /** Undefined: the company whose app has signed it has no app any more. */
  async #read({ payload, appCompanyId }: Replay): Promise<IngestWebhook | undefined> {
    const company =
      appCompanyId === null ? null : (await this.#options.apps.find(appCompanyId))?.company;
    if (company === undefined) return undefined;
    return readTaken({ raw: payload, app: company }, this.#options.clock.now());
  }
}

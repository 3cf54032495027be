/** Commits webhooks of WPP servers, many at a time, and hands their events on. */
import {
  type CompanyId,
  formatPairingCode,
  lookPayload,
  type NumberId,
  secretPairing,
  shardPoke,
  type WppItem,
} from "@manyline/contracts";
import {
  commitWpp,
  type Database,
  type EventRelay,
  isUnavailable,
  type Keyring,
  type StoredEvent,
  type WppHook,
  type WppWebhook,
} from "@manyline/db";
import type { Bus, Clock } from "@manyline/runtime";
import { MicroBatcher } from "../micro-batcher.ts";
import type { Reports } from "../reports.ts";
import type { Files } from "./files.ts";

const SERVICE = "webhook-ingest";
/** Statuses that come before the name of their message is stored wait so often, and so long each time. */
const EARLY_TRIES = 10;
const EARLY_MS = 200;

export type WppIngestorOptions = {
  db: Database;
  keyring: Keyring;
  relay: Pick<EventRelay, "publish">;
  bus: Pick<Bus, "poke">;
  clock: Clock;
  reports: Reports;
  lanes: number;
  size: number;
  waitingBytes: number;
};

type Job = {
  hook: WppHook;
  webhook: WppWebhook;
  /** Set by the commit. */
  early: readonly WppItem[];
};

export class WppIngestor {
  readonly #options: WppIngestorOptions;
  readonly #batcher: MicroBatcher<Job>;
  /** Ids of files whose messages were news, until they are asked for. */
  readonly #kept = new Set<string>();

  constructor(options: WppIngestorOptions) {
    this.#options = options;
    const { lanes, size, waitingBytes: capacity } = options;
    this.#batcher = new MicroBatcher({
      lanes,
      size,
      capacity,
      commit: (jobs) => this.#commit(jobs),
      isWorthSplitting: (error) => !isUnavailable(error),
    });
  }

  get waitingBytes(): number {
    return this.#batcher.weight;
  }

  async idle(): Promise<void> {
    await this.#batcher.idle();
  }

  /**
   * Resolves when the webhook is committed, with the ids of those of its files that are somebody's now. Rejects with
   * BusyError, or with an error of `isUnavailable`: it is not, and should come again.
   */
  async take(hook: WppHook, items: readonly WppItem[], files: Files): Promise<Set<string>> {
    const arrivedAt = this.#options.clock.now();
    let open = items.filter(({ input }) => input !== null);
    for (let tries = 0; open.length > 0; tries += 1) {
      const webhook = { hook, items: open, files, arrivedAt, isLast: tries === EARLY_TRIES };
      const job: Job = { hook, webhook, early: [] };
      // Files are in the store: what waits is small.
      await this.#batcher.add(hook.webhookKey, job, 1_024 * open.length);
      open = [...job.early];
      if (open.length > 0) await this.#options.clock.sleep(EARLY_MS);
    }
    const own = [...files.values()].map(({ mediaId }) => mediaId);
    return new Set(own.filter((mediaId) => this.#kept.delete(mediaId)));
  }

  async #commit(jobs: readonly Job[]): Promise<void> {
    const { db, keyring, relay, clock, reports, bus } = this.#options;
    const startedAt = clock.monotonic();
    const teller = { service: SERVICE };
    const webhooks = jobs.map(({ webhook }) => webhook);
    const { events, repeated, files, early, changed } = await commitWpp(
      db,
      keyring,
      teller,
      webhooks,
    );
    for (const [place, job] of jobs.entries()) job.early = early[place] ?? [];
    for (const mediaId of files) this.#kept.add(mediaId);
    relay.publish(events);
    reports.committed({
      webhooks: jobs.length,
      events: events.length,
      repeated,
      parked: 0,
      durationMs: clock.monotonic() - startedAt,
    });
    const looked = new Map(jobs.map(({ hook }) => [hook.numberNo, hook.shardId]));
    for (const numberNo of changed) {
      bus.poke(shardPoke(looked.get(numberNo) ?? 0), lookPayload(numberNo));
    }
    this.#tellCodes(jobs, events);
  }

  /** Codes in clear, for those who may have them; all of it may be lost. */
  #tellCodes(jobs: readonly Job[], events: readonly StoredEvent[]): void {
    for (const { numberNo, type, envelope } of events) {
      if (type !== "pairing.code_issued") continue;
      const codes = jobs.flatMap(({ hook, webhook }) =>
        hook.numberNo === numberNo ? webhook.items.flatMap(codeIn) : [],
      );
      const code = codes.at(-1);
      const { companyid, numberid } = envelope;
      if (code === undefined || numberid === undefined) continue;
      const { phone, expiresAt } = Object(envelope.data) as Record<string, unknown>;
      this.#options.bus.poke(
        secretPairing(companyid as CompanyId, numberid as NumberId),
        JSON.stringify({
          companyId: companyid,
          code: formatPairingCode(code),
          phoneNumber: phone,
          expiresAt,
        }),
      );
    }
  }
}

function codeIn({ input }: WppItem): string[] {
  return input?.kind === "session" && input.event === "pairing_code" ? [input.code] : [];
}

/**
 * The seed's `pairing-code` event: straight from the owner of the number to the endpoints that ask for it by name, while
 * the code lives. It is in no log and no row; what is kept is that it was sent.
 */
import { setTimeout as delay } from "node:timers/promises";
import { ANY_SECRET_PAIRING, newEventId } from "@manyline/contracts";
import { isTaken, PAIRING_CODE_EVENT } from "@manyline/contracts/webhooks";
import {
  type Attempt,
  type Database,
  type Endpoint,
  noteDirectDelivery,
  type QueueKey,
  subscriptionsFor,
} from "@manyline/db";
import type { Bus, BusSubscription, Clock } from "@manyline/runtime";
import type { Reports } from "../reports.ts";
import type { Endpoints } from "./endpoints.ts";

const RETRY_MS = [0, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000] as const;

type Code = { companyId: string; code: string; phoneNumber: string; expiresAt: Date };

export class DirectCodes {
  readonly #options: { db: Database; endpoints: Endpoints; clock: Clock; reports: Reports };
  readonly #ending = new AbortController();
  readonly #underWay = new Set<Promise<void>>();

  constructor(options: { db: Database; endpoints: Endpoints; clock: Clock; reports: Reports }) {
    this.#options = options;
  }

  /** One of all notifiers gets each code. */
  listen(bus: Bus): BusSubscription {
    return bus.subscribe(
      ANY_SECRET_PAIRING,
      async ({ data }) => {
        const code = readCode(data);
        if (code) await this.send(code);
      },
      { queue: "notifier" },
    );
  }

  /** Resolves when the endpoints are known; the calls go on. */
  async send(code: Code): Promise<void> {
    const { db } = this.#options;
    const keys = await subscriptionsFor(db, code.companyId, [PAIRING_CODE_EVENT]);
    for (const key of keys) {
      const sending: Promise<void> = this.#sendTo(key, code)
        .catch(() => undefined)
        .finally(() => this.#underWay.delete(sending));
      this.#underWay.add(sending);
    }
  }

  /** Ends the pauses between tries; what is being sent is waited for. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#underWay);
  }

  async #sendTo(key: QueueKey, { companyId, code, phoneNumber, expiresAt }: Code): Promise<void> {
    const { db, endpoints, clock, reports } = this.#options;
    let endpoint: Endpoint | undefined;
    const id = newEventId();
    const time = clock.now().toISOString();
    const data = { companyId, code, phoneNumber, expiresAt: expiresAt.toISOString() };
    const body = Buffer.from(JSON.stringify({ id, type: PAIRING_CODE_EVENT, time, data }));
    let attempt: Attempt = { status: null, error: "too_late", latencyMs: 0 };
    let attempts = 0;
    let isDelivered = false;
    for (const pause of RETRY_MS) {
      if (clock.now().getTime() + pause >= expiresAt.getTime()) break;
      if (pause > 0)
        await delay(pause, undefined, { signal: this.#ending.signal }).catch(() => undefined);
      if (this.#ending.signal.aborted) break;
      // Between two tries it may be moved, switched off or removed; without Postgres it is as it was.
      const [read] = await Promise.allSettled([endpoints.read(key)]);
      if (read.status === "fulfilled") {
        endpoint = read.value;
        if (!endpoint && attempts === 0) return;
        if (!endpoint) break;
      }
      // Nothing is handed over after the code's end.
      const leftMs = expiresAt.getTime() - clock.now().getTime();
      if (!endpoint || leftMs <= 0) continue;
      attempt = await endpoints.post(key, endpoint, id, body, {}, leftMs);
      attempts += 1;
      isDelivered = attempt.status !== null && isTaken(attempt.status);
      reports.code(isDelivered ? "taken" : "failed", attempt.latencyMs);
      if (isDelivered) break;
    }
    const type = PAIRING_CODE_EVENT;
    await noteDirectDelivery(db, key, { id, type, attempts, isDelivered, ...attempt });
  }
}

/** Undefined: it is none, or its time is over. */
function readCode(data: Uint8Array): Code | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return undefined;
  }
  const { companyId, code, phoneNumber, expiresAt } = Object(value) as Record<string, unknown>;
  const end = new Date(String(expiresAt));
  if (typeof companyId !== "string" || typeof code !== "string") return undefined;
  if (typeof phoneNumber !== "string" || Number.isNaN(end.getTime())) return undefined;
  return { companyId, code, phoneNumber, expiresAt: end };
}

/** Calls customers' endpoints and judges what came of it. */
import { companyWebhookDisabled, makeEvent, parseCompanyId } from "@manyline/contracts";
import {
  endpointPauseMs,
  isEndpointDead,
  isTaken,
  nextAttemptMs,
  signedHeaders,
  WEBHOOK_FIGURES,
} from "@manyline/contracts/webhooks";
import {
  appendEvents,
  type Attempt,
  type ClaimedDelivery,
  type Database,
  disableSubscription,
  type Endpoint,
  type EventRelay,
  type Fate,
  inTransaction,
  type Keyring,
  type QueueKey,
  readEndpoint,
  type Settled,
  settleDeliveries,
  type Settlement,
} from "@manyline/db";
import {
  type AddressGuard,
  type Clock,
  currentTraceparent,
  FetchRefused,
  guardedPost,
  type KeptConnections,
  withSpan,
} from "@manyline/runtime";
import type { Reports } from "../reports.ts";
import { Gathered } from "./gathered.ts";

/** A changed address, and a former secret, count so long. */
const KNOWN_MS = 1_000;
const KNOWN = 10_000;
/** Notes of different endpoints that share a statement, and a commit. */
const GATHERED = { lanes: 2, most: 50 };
const nameOf = ({ companyNo, subscriptionId }: QueueKey): string =>
  `${companyNo} ${subscriptionId}`;

export type EndpointsOptions = {
  db: Database;
  keyring: Keyring;
  clock: Clock;
  guard: AddressGuard;
  connections: KeptConnections;
  relay: EventRelay;
  reports: Reports;
  timeoutMs: number;
};

export class Endpoints {
  readonly #options: EndpointsOptions;
  readonly #settling: Gathered<Settlement, Settled>;
  readonly #known = new Map<string, { endpoint: Endpoint; untilMs: number }>();

  constructor(options: EndpointsOptions) {
    this.#options = options;
    const { db } = options;
    this.#settling = new Gathered((all) => settleDeliveries(db, all), GATHERED);
  }

  /** Undefined: it is gone or switched off. */
  read({ companyNo, subscriptionId }: QueueKey): Promise<Endpoint | undefined> {
    const { db, keyring } = this.#options;
    return readEndpoint(db, keyring, companyNo, subscriptionId);
  }

  /** As it was a moment ago, while it is well. */
  async known(key: QueueKey): Promise<Endpoint | undefined> {
    const name = nameOf(key);
    const now = this.#options.clock.monotonic();
    const known = this.#known.get(name);
    if (known && known.untilMs > now) return known.endpoint;
    this.#known.delete(name);
    const endpoint = await this.read(key);
    if (endpoint?.failures === 0) {
      this.#known.set(name, { endpoint, untilMs: now + KNOWN_MS });
      const [oldest] = this.#known.keys();
      if (this.#known.size > KNOWN && oldest !== undefined) this.#known.delete(oldest);
    }
    return endpoint;
  }

  /** One POST, signed, within `mostMs`. What goes wrong is in the result; nothing of an address or a body is. */
  async post(
    key: QueueKey,
    { url, headers, secrets }: Endpoint,
    id: string,
    body: Buffer,
    more: Readonly<Record<string, string>> = {},
    mostMs = Infinity,
  ): Promise<Attempt> {
    const { guard, connections, clock } = this.#options;
    const timeoutMs = Math.min(this.#options.timeoutMs, mostMs);
    const start = performance.now();
    const latency = (): number => Math.round(performance.now() - start);
    try {
      const { status } = await guardedPost(url, {
        guard,
        kept: { connections, party: nameOf(key) },
        timeoutMs,
        body,
        maxBytes: WEBHOOK_FIGURES.answerBytes,
        headers: {
          ...headers,
          "content-type": "application/json",
          "user-agent": "Manyline-Webhooks/1",
          ...more,
          ...signedHeaders(secrets, id, clock.now(), body),
        },
      });
      return { status, error: null, latencyMs: latency() };
    } catch (error) {
      if (!(error instanceof FetchRefused)) throw error;
      return { status: null, error: error.reason, latencyMs: latency() };
    }
  }

  /** Sends what was claimed, and notes what became of it. True: more may be due at once. */
  async deliver(key: QueueKey, endpoint: Endpoint, delivery: ClaimedDelivery): Promise<boolean> {
    const { reports, clock } = this.#options;
    const { envelope, eventId, isLate, attempts } = delivery;
    if (!envelope) {
      const attempt = { status: null, error: "event_gone", latencyMs: 0 };
      const { hasNext } = await this.#settling.ask({
        key,
        delivery,
        attempt,
        fate: { kind: "gone" },
      });
      reports.delivered("gone", attempt);
      return hasNext;
    }
    const body = Buffer.from(JSON.stringify(envelope));
    const span = {
      kind: "client",
      parent: envelope.traceparent,
      attributes: { companyId: envelope.companyid, type: envelope.type, attempt: attempts },
    } as const;
    const attempt = await withSpan("webhook", span, () => {
      const traceparent = currentTraceparent() ?? envelope.traceparent;
      return this.post(key, endpoint, eventId, body, {
        ...(isLate ? { "manyline-late": "true" } : {}),
        ...(traceparent === undefined ? {} : { traceparent }),
      });
    });
    const fate = fateOf(attempt, attempts, endpoint.failures);
    const isWell = fate.kind === "delivered";
    if (!isWell) this.#known.delete(nameOf(key));
    const { isSettled, hasNext } = await this.#settling.ask({ key, delivery, attempt, fate });
    const outcome = { delivered: "taken", again: "failed", dead: "dead", gone: "gone" } as const;
    reports.delivered(isSettled ? outcome[fate.kind] : "lost", attempt);
    if (fate.kind === "delivered" && attempts === 1) {
      reports.arrived(Math.max(0, clock.now().getTime() - Date.parse(envelope.time)));
    }
    if (isSettled && fate.kind === "dead") await this.#judge(key, delivery);
    return hasNext || !isWell || endpoint.failures > 0;
  }

  /** A delivery has died: is its endpoint dead too? */
  async #judge(key: QueueKey, { firstTriedAt }: ClaimedDelivery): Promise<void> {
    const { db, clock, relay, reports } = this.#options;
    const endpoint = await this.read(key);
    const companyId = parseCompanyId(endpoint?.companyId ?? "");
    if (!endpoint?.failingSince || companyId === undefined) return;
    const { failingSince, lastError, url } = endpoint;
    if (!isEndpointDead(failingSince, firstTriedAt)) return;
    const { companyNo, subscriptionId } = key;
    const event = makeEvent(
      companyWebhookDisabled,
      { companyId },
      {
        subscriptionId,
        host: new URL(url).hostname,
        failingSince: failingSince.toISOString(),
        lastError: lastError ?? "no answer",
      },
      { service: "notifier", at: clock.now() },
    );
    const stored = await inTransaction(db, async (tx) =>
      (await disableSubscription(tx, key))
        ? appendEvents(tx, [{ companyNo, numberNo: null, event }])
        : [],
    );
    if (stored.length === 0) return;
    relay.publish(stored);
    reports.disabled(companyId, subscriptionId);
  }
}

function fateOf({ status, error }: Attempt, attempts: number, failures: number): Fate {
  if (error === null && status !== null && isTaken(status)) return { kind: "delivered" };
  const inMs = nextAttemptMs(attempts, Math.random());
  const pauseMs = endpointPauseMs(failures + 1);
  if (inMs === undefined) return { kind: "dead", pauseMs };
  return { kind: "again", inMs, isLate: attempts >= WEBHOOK_FIGURES.lateAfter, pauseMs };
}

/**
 * Works the queues of endpoints, each for itself: an endpoint has only so many deliveries under way, and one while it
 * fails, so that a dead one takes little from the others.
 */
import { setTimeout as delay } from "node:timers/promises";
import { WEBHOOK_FIGURES } from "@manyline/contracts/webhooks";
import {
  type Claim,
  claimDeliveries,
  type ClaimedDelivery,
  type Database,
  dueQueues,
  type QueueKey,
} from "@manyline/db";
import type { Reports } from "../reports.ts";
import type { Endpoints } from "./endpoints.ts";
import { Gathered } from "./gathered.ts";
import { Slots } from "./slots.ts";
import { Turns } from "./turns.ts";

export type QueuesOptions = {
  db: Database;
  endpoints: Endpoints;
  reports: Reports;
  /** Deliveries under way at a time, to all endpoints. */
  sends: number;
  sweepMs: number;
  timeoutMs: number;
};

/** A claim outlives the longest call by so much; then whoever looks takes it over. */
const CLAIM_MORE_MS = 20_000;
/** Claims of different queues that share a statement. */
const GATHERED = { lanes: 2, most: 20 };

const nameOf = (key: QueueKey): string => `${key.companyNo} ${key.subscriptionId}`;

type Running = { isWoken: boolean; wake: () => void; done: Promise<void> };

export class Queues {
  readonly #options: QueuesOptions;
  readonly #slots: Slots;
  readonly #turns = new Turns();
  readonly #claiming: Gathered<Claim, ClaimedDelivery[]>;
  readonly #running = new Map<string, Running>();
  #isStopping = false;
  #timer: NodeJS.Timeout | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(options: QueuesOptions) {
    this.#options = options;
    this.#slots = new Slots(options.sends);
    const { db } = options;
    this.#claiming = new Gathered((all) => claimDeliveries(db, all), GATHERED);
  }

  /** Deliveries under way. */
  get underWay(): number {
    return this.#slots.taken;
  }

  /** Looks at all queues at once, and then again and again. */
  start(): void {
    this.#sweep();
  }

  /** Something may be due at this endpoint. */
  wake(key: QueueKey): void {
    if (this.#isStopping) return;
    const name = nameOf(key);
    const running = this.#running.get(name);
    if (running) {
      running.isWoken = true;
      running.wake();
      return;
    }
    const queue: Running = { isWoken: false, wake: () => undefined, done: Promise.resolve() };
    this.#running.set(name, queue);
    queue.done = this.#work(key, queue, () => {
      if (this.#running.get(name) === queue) this.#running.delete(name);
    }).catch((error: unknown) => this.#options.reports.queueFailed(error));
  }

  /** Claims nothing more, waits for what is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
    for (const { wake } of this.#running.values()) wake();
    await Promise.all([...this.#running.values()].map(({ done }) => done));
  }

  #sweep(): void {
    const { db, reports, sweepMs } = this.#options;
    this.#sweeping = dueQueues(db)
      .then((keys) => {
        for (const key of keys) this.wake(key);
        return undefined;
      })
      .catch((error: unknown) => reports.queueFailed(error))
      .finally(() => {
        if (!this.#isStopping) this.#timer = setTimeout(() => this.#sweep(), sweepMs);
      });
  }

  /** `end`: from then on a wake starts another. */
  async #work(key: QueueKey, queue: Running, end: () => void): Promise<void> {
    try {
      await this.#deliverAll(key, queue, end);
    } finally {
      end();
    }
  }

  async #deliverAll(key: QueueKey, queue: Running, end: () => void): Promise<void> {
    const { endpoints } = this.#options;
    const underWay = new Set<Promise<void>>();
    const failed: unknown[] = [];
    // Something may be due that was not claimed.
    let isMore = true;
    // There was more than could be claimed: it is taken by halves, each claim for several.
    let isLong = false;
    let stretch = 0;
    const name = nameOf(key);
    while (!this.#isStopping && failed.length === 0) {
      const endpoint = await endpoints.known(key);
      if (!endpoint) break;
      const most = endpoint.failures > 0 ? 1 : WEBHOOK_FIGURES.perEndpoint;
      const room = most - underWay.size;
      const pauseMs = this.#turns.pauseMs(name, stretch);
      const isRoom = isLong && pauseMs === 0 ? room * 2 >= most : room > 0;
      if (isRoom && (isMore || queue.isWoken)) {
        if (pauseMs > 0) await delay(pauseMs);
        const slots = await this.#slots.take(key.companyNo, pauseMs > 0 ? 1 : room);
        queue.isWoken = false;
        isMore = false;
        const claimed = await this.#claim(key, slots).catch((error: unknown) => {
          failed.push(error);
          return [];
        });
        this.#slots.give(key.companyNo, slots - claimed.length);
        isLong = claimed.length === slots;
        stretch = this.#turns.served(name, stretch, slots, claimed.length);
        if (isLong) isMore = true;
        for (const delivery of claimed) {
          const sending: Promise<void> = endpoints
            .deliver(key, endpoint, delivery)
            .then((hasMore) => {
              if (hasMore) isMore = true;
              return undefined;
            })
            .catch((error: unknown) => {
              failed.push(error);
            })
            .finally(() => {
              underWay.delete(sending);
              this.#slots.give(key.companyNo, 1);
            });
          underWay.add(sending);
        }
        if (claimed.length > 0) continue;
      }
      if (underWay.size === 0 && !queue.isWoken && !isMore) {
        // In the same step as the look at isWoken: no wake is lost in between.
        end();
        return;
      }
      if (isRoom && (queue.isWoken || isMore)) continue;
      await Promise.race([
        ...underWay,
        new Promise<void>((resolve) => {
          queue.wake = resolve;
          if ((queue.isWoken && isRoom) || this.#isStopping) resolve();
        }),
      ]);
    }
    await Promise.all(underWay);
    if (failed.length > 0) throw failed[0];
  }

  #claim(key: QueueKey, limit: number): Promise<ClaimedDelivery[]> {
    if (this.#isStopping) return Promise.resolve([]);
    const claimMs = this.#options.timeoutMs + CLAIM_MORE_MS;
    return this.#claiming.ask({ ...key, limit, claimMs });
  }
}

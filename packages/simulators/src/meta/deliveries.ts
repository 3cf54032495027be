/** Sends webhooks as Meta does: signed, in batches, in no order, more than once, and again until they are taken. */
import { metaJson, signatureOf } from "./signing.ts";
import type { MetaApp, MetaWorld } from "./world.ts";

export type DeliveryOptions = {
  /** How long changes gather before they are sent, ms; default 5. */
  gatherMs: number;
  /** Changes in one POST at most; default 100. */
  most: number;
  /** POSTs under way at a time for one app; default 8. */
  parallel: number;
  /** Share of POSTs that are sent twice, 0 to 1; default 0. */
  duplicates: number;
  /** Whether changes are sent in another order than they came; default false. */
  isShuffled: boolean;
  /** Nothing is sent. */
  isPaused: boolean;
  /** The first pause before a POST that was not taken is sent again, ms; it doubles; default 1,000. */
  retryMs: number;
  /** The longest pause, ms; default one hour. */
  retryMostMs: number;
  /** A POST that was not answered in this time was not taken, ms; default 10,000. */
  timeoutMs: number;
};

export const USUAL_DELIVERY: DeliveryOptions = {
  gatherMs: 5,
  most: 100,
  parallel: 8,
  duplicates: 0,
  isShuffled: false,
  isPaused: false,
  retryMs: 1_000,
  retryMostMs: 3_600_000,
  timeoutMs: 10_000,
};

/** One try. `status` 0: there was no answer. */
export type Attempt = { appId: string; at: Date; status: number; bytes: number; changes: number };

type Change = { wabaId: string; field: string; value: unknown };
type Post = { app: MetaApp; body: Buffer; changes: number; tries: number };

const LOG_LENGTH = 1_000;

export class Deliveries {
  readonly options: DeliveryOptions;
  /** The latest last. */
  readonly attempts: Attempt[] = [];
  readonly #world: MetaWorld;
  readonly #random: () => number;
  readonly #gathered = new Map<string, Change[]>();
  readonly #queues = new Map<string, Post[]>();
  readonly #running = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #stopping = new AbortController();
  #taken = 0;
  #posts = 0;

  constructor(world: MetaWorld, options: Partial<DeliveryOptions>, random: () => number) {
    this.#world = world;
    this.options = { ...USUAL_DELIVERY, ...options };
    this.#random = random;
  }

  /** POSTs that were answered with 200. */
  get taken(): number {
    return this.#taken;
  }

  /** Changes that are gathered, and POSTs that are not taken yet. */
  get waiting(): number {
    const gathered = [...this.#gathered.values()].reduce((sum, { length }) => sum + length, 0);
    return gathered + this.#posts;
  }

  /** A change for every app that is subscribed to the account and has an address. */
  add(wabaId: string, field: string, value: unknown): void {
    const apps = this.#world.wabas.get(wabaId)?.subscribedApps ?? new Set<string>();
    for (const appId of apps) {
      if (this.#world.apps.get(appId)?.callbackUrl) this.#gather(appId, { wabaId, field, value });
    }
  }

  #gather(appId: string, change: Change): void {
    const waiting = this.#gathered.get(appId);
    if (waiting) {
      waiting.push(change);
      return;
    }
    this.#gathered.set(appId, [change]);
    this.#after(this.options.gatherMs, () => this.#flush(appId));
  }

  #flush(appId: string): void {
    const app = this.#world.apps.get(appId);
    const changes = this.#gathered.get(appId) ?? [];
    this.#gathered.delete(appId);
    if (!app) return;
    if (this.options.isShuffled) this.#shuffle(changes);
    const posts: Post[] = [];
    while (changes.length > 0) {
      const batch = changes.splice(0, this.options.most);
      const body = metaJson({ object: "whatsapp_business_account", entry: entriesOf(batch) });
      const post = { app, body, changes: batch.length, tries: 0 };
      posts.push(post);
      if (this.#random() < this.options.duplicates) posts.push({ ...post });
    }
    if (this.options.isShuffled) this.#shuffle(posts);
    this.#posts += posts.length;
    const queue = this.#queues.get(appId) ?? [];
    this.#queues.set(appId, queue);
    queue.push(...posts);
    this.#pump(appId);
  }

  #pump(appId: string): void {
    const queue = this.#queues.get(appId) ?? [];
    while (
      !this.options.isPaused &&
      !this.#stopping.signal.aborted &&
      (this.#running.get(appId) ?? 0) < this.options.parallel
    ) {
      const post = queue.shift();
      if (!post) return;
      this.#running.set(appId, (this.#running.get(appId) ?? 0) + 1);
      void this.#send(post).finally(() => {
        this.#running.set(appId, (this.#running.get(appId) ?? 1) - 1);
        this.#pump(appId);
      });
    }
  }

  /** Goes on after a pause, with options that were changed. */
  resume(): void {
    for (const appId of this.#queues.keys()) this.#pump(appId);
  }

  async #send(post: Post): Promise<void> {
    const { app, body } = post;
    const status = await this.#post(app, body);
    const attempt = { appId: app.id, at: new Date(), status, bytes: body.length };
    this.attempts.push({ ...attempt, changes: post.changes });
    if (this.attempts.length > LOG_LENGTH) this.attempts.shift();
    if (status === 200) {
      this.#taken += 1;
      this.#posts -= 1;
      return;
    }
    post.tries += 1;
    const pause = Math.min(this.options.retryMs * 2 ** (post.tries - 1), this.options.retryMostMs);
    this.#after(pause, () => {
      this.#queues.get(app.id)?.push(post);
      this.#pump(app.id);
    });
  }

  async #post(app: MetaApp, body: Buffer): Promise<number> {
    try {
      const answer = await fetch(app.callbackUrl ?? "", {
        method: "POST",
        body: new Uint8Array(body),
        headers: {
          "content-type": "application/json",
          "user-agent": "facebookexternalua",
          "x-hub-signature-256": signatureOf(body, app.secret),
        },
        signal: AbortSignal.any([
          this.#stopping.signal,
          AbortSignal.timeout(this.options.timeoutMs),
        ]),
      });
      await answer.arrayBuffer();
      return answer.status;
    } catch {
      return 0;
    }
  }

  #shuffle(list: unknown[]): void {
    for (let at = list.length - 1; at > 0; at -= 1) {
      const other = Math.floor(this.#random() * (at + 1));
      [list[at], list[other]] = [list[other], list[at]];
    }
  }

  #after(ms: number, work: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#stopping.signal.aborted) work();
    }, ms);
    this.#timers.add(timer);
  }

  close(): void {
    this.#stopping.abort();
    for (const timer of this.#timers) clearTimeout(timer);
  }
}

/** Changes of one account that follow each other share an entry. */
function entriesOf(changes: readonly Change[]): object[] {
  const time = Math.floor(Date.now() / 1_000);
  const entries: { id: string; time: number; changes: { field: string; value: unknown }[] }[] = [];
  for (const { wabaId, field, value } of changes) {
    const last = entries.at(-1);
    if (last?.id === wabaId) last.changes.push({ field, value });
    else entries.push({ id: wabaId, time, changes: [{ field, value }] });
  }
  return entries;
}

import { ManylineApiError, ManylineUnreachable } from "./errors.ts";
import { readEvent } from "./events.ts";
import type { ManylineEvent } from "./events.ts";
import { Http, backoff, sleep } from "./http.ts";
import type { HttpOptions } from "./http.ts";
import { readSse } from "./sse-parser.ts";
import type { EventSource, Inbox } from "./subscription.ts";

export type SseOptions = HttpOptions & {
  readonly companyId: string;
  /** Only this number's events, and the company's own. */
  readonly number?: string;
  /** Only events of these families or types, such as `message` or `message.received`. Default: all. */
  readonly only?: readonly string[];
  /**
   * Where to begin: what `onProgress` said last before the process ended. Without it the subscription begins
   * with what is new. The log goes back at least 8 days.
   */
  readonly since?: Date;
  /**
   * Everything written before this time was handled: store it. Called as soon as the stream is open, then at
   * most once a second. After a restart some seconds of events come again, by the same ids.
   */
  readonly onProgress?: (since: Date) => void;
  /** The state of the connection, for a log. */
  readonly onState?: (state: "open" | "lagging" | "closed", error?: unknown) => void;
};

/** How late a commit may appear behind a younger one. */
const OVERLAP_MS = 15_000;
/** The gateway sends a heartbeat every 15 s. */
const SILENCE_MS = 45_000;
const PROGRESS_MS = 1_000;

/**
 * Events of a company over Server-Sent Events, out of the log in Postgres: nothing is missed while this
 * process, the network, the gateway or NATS is away, for as long as the log goes back. Every reconnection goes
 * back 15 s and drops what was here before.
 */
export function sseSource(options: SseOptions): EventSource {
  return { run: (inbox, signal) => new SseReader(options, inbox, signal).run() };
}

class SseReader {
  readonly #options: SseOptions;
  readonly #inbox: Inbox;
  readonly #signal: AbortSignal;
  readonly #http: Http;
  /** When the events were written that are not handled yet. */
  readonly #open = new Map<string, number>();
  /** When the last event was written that came. Times are those of the log. */
  #heardAt: number | undefined;
  #toldAt = Number.NEGATIVE_INFINITY;
  #tries = 0;
  /** The state was told over this connection. */
  #isOpen = false;

  constructor(options: SseOptions, inbox: Inbox, signal: AbortSignal) {
    this.#options = options;
    this.#inbox = inbox;
    this.#signal = signal;
    // A stream is opened anew here, with its own pauses.
    this.#http = new Http({ ...options, tries: 1 });
    this.#heardAt = options.since && options.since.getTime() + OVERLAP_MS;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        await this.#read();
        this.#options.onState?.("closed");
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#options.onState?.("closed", error);
        if (isFinal(error)) throw error;
      }
      this.#tries += 1;
      await sleep(backoff(this.#tries), this.#signal).catch(() => undefined);
    }
  }

  async #read(): Promise<void> {
    const { companyId, number } = this.#options;
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#signal, silence.signal]);
    let timer = setTimeout(() => undefined, 0);
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () => silence.abort(new ManylineUnreachable("the stream is silent")),
        SILENCE_MS,
      );
    };
    heard();
    try {
      const response = await this.#http.send({
        method: "GET",
        path: `/api/whatsapp/sessions/${encodeURIComponent(companyId)}/events`,
        query: { number, since: this.#from() },
        isRepeatable: false,
        isStream: true,
        signal,
      });
      this.#isOpen = false;
      const body = response.body?.pipeThrough(noting<Uint8Array>(heard));
      if (!body) return;
      for await (const { event, data } of readSse(body)) {
        this.#tries = 0;
        await this.#take(event, JSON.parse(data));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** The time from which on everything is told again. */
  #from(): string | undefined {
    return this.#heardAt === undefined
      ? undefined
      : new Date(this.#heardAt - OVERLAP_MS).toISOString();
  }

  async #take(name: string, value: unknown): Promise<void> {
    if (name === "lag") this.#options.onState?.(isLagging(value) ? "lagging" : "open");
    if (name === "ended") throw new StreamEnded(textOf(value, "reason") ?? "unknown");
    // The state is of now; what is repeated after it is older. So it is a place to go on from only at first.
    if (name === "snapshot") this.#begin(value);
    const event = readEvent(value);
    if (!event) return;
    const loggedAt = timeOf(value, "loggedAt") ?? event.time.getTime();
    this.#heardAt = Math.max(this.#heardAt ?? 0, loggedAt);
    if (!this.#isWanted(event)) return;
    this.#open.set(event.id, loggedAt);
    this.#inbox.take(event).then(
      () => this.#handled(event.id),
      // Not handled: progress stays before it.
      () => undefined,
    );
    await this.#inbox.room();
  }

  #begin(snapshot: unknown): void {
    if (this.#heardAt === undefined) {
      this.#heardAt = timeOf(snapshot, "serverTime");
      // Whoever is killed before the first event must not begin anew behind it.
      this.#tellProgress();
    }
    // Not with the first byte: only from here on all that is new is told.
    if (!this.#isOpen) this.#options.onState?.("open");
    this.#isOpen = true;
  }

  #isWanted({ type }: ManylineEvent): boolean {
    const { only } = this.#options;
    return only === undefined || only.some((name) => type === name || type.startsWith(`${name}.`));
  }

  #handled(id: string): void {
    this.#open.delete(id);
    this.#tellProgress();
  }

  #tellProgress(): void {
    const { onProgress } = this.#options;
    const now = performance.now();
    if (!onProgress || this.#heardAt === undefined || now - this.#toldAt < PROGRESS_MS) return;
    this.#toldAt = now;
    onProgress(new Date(Math.min(this.#heardAt, ...this.#open.values()) - OVERLAP_MS));
  }
}

/** The gateway ended the stream for good: the token or the number is gone. */
export class StreamEnded extends Error {
  override readonly name = "StreamEnded";
  /** `expired`, `revoked`, `number_removed`, `company_removed`. */
  readonly reason: string;

  constructor(reason: string) {
    super(`the stream has ended: ${reason}`);
    this.reason = reason;
  }
}

function isFinal(error: unknown): boolean {
  if (error instanceof StreamEnded) return true;
  if (!(error instanceof ManylineApiError)) return false;
  return error.status >= 400 && error.status < 500 && error.status !== 429;
}

function isLagging(value: unknown): boolean {
  return (
    typeof value === "object" && value !== null && "lagging" in value && value.lagging === true
  );
}

function textOf(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const text: unknown = Object.entries(value).find(([key]) => key === name)?.[1];
  return typeof text === "string" ? text : undefined;
}

function timeOf(value: unknown, name: string): number | undefined {
  const at = Date.parse(textOf(value, name) ?? "");
  return Number.isNaN(at) ? undefined : at;
}

/** Calls `note` with every chunk that passes. */
function noting<T>(note: () => void): TransformStream<T, T> {
  return new TransformStream({
    transform: (chunk, controller) => {
      note();
      controller.enqueue(chunk);
    },
  });
}

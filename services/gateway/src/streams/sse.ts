import type { ServerResponse } from "node:http";

/** How long a reader may take over what was sent to it at once; then it is cut off and may come again. */
const SLOW_MS = 30_000;

export type SseMessage = { readonly event: string; readonly data: unknown; readonly id?: string };

/** A Server-Sent Events answer. Fields follow the HTML standard; data is one line of JSON. */
export class SseResponse {
  readonly #response: ServerResponse;
  #wasSlow = false;

  constructor(response: ServerResponse, headers: Record<string, string | number>) {
    this.#response = response;
    response.writeHead(200, {
      ...headers,
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      // Tells proxies of the nginx family not to hold events back.
      "x-accel-buffering": "no",
    });
    response.flushHeaders();
  }

  get isOpen(): boolean {
    return !this.#response.destroyed && !this.#response.writableEnded;
  }

  /** The reader was cut off because it took too long. */
  get wasSlow(): boolean {
    return this.#wasSlow;
  }

  /**
   * Resolves when the reader can take more: a slow one slows its own stream down. Wait for it while
   * holding nothing that others need. At most `messages` and one write are buffered.
   */
  send(...messages: readonly SseMessage[]): Promise<void> {
    return this.#write(
      messages.map(({ id, event, data }) => {
        const first = id === undefined ? "" : `id: ${id}\n`;
        return () => `${first}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
      }),
    );
  }

  /** Keeps proxies from closing a silent connection. */
  heartbeat(): Promise<void> {
    return this.#write([() => ": still here\n\n"]);
  }

  /** How long a browser waits before it connects again. */
  retryAfter(ms: number): Promise<void> {
    return this.#write([() => `retry: ${ms}\n\n`]);
  }

  /** Ends the answer; what the reader does not take in time is dropped. */
  end(): void {
    if (this.#response.closed || this.#response.destroyed) return;
    const timer = setTimeout(() => this.#response.destroy(), SLOW_MS);
    this.#response.once("close", () => clearTimeout(timer)).end();
  }

  async #write(texts: readonly (() => string)[]): Promise<void> {
    const timer = setTimeout(() => this.#giveUp(), SLOW_MS);
    try {
      for (const text of texts) {
        if (!this.isOpen) return;
        if (!this.#response.write(text())) await this.#drained();
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async #drained(): Promise<void> {
    const free = Promise.withResolvers<void>();
    this.#response.once("drain", free.resolve).once("close", free.resolve);
    await free.promise;
    this.#response.off("drain", free.resolve).off("close", free.resolve);
  }

  #giveUp(): void {
    this.#wasSlow = true;
    this.#response.destroy();
  }
}

import type { ServerResponse } from "node:http";

/** How long a reader may take nothing before it is given up. */
const STALLED_MS = 30_000;

/** A Server-Sent Events answer. Fields follow the HTML standard; data is one line of JSON. */
export class SseResponse {
  readonly #response: ServerResponse;

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

  send(message: { event: string; data: unknown; id?: string }): Promise<void> {
    const id = message.id === undefined ? "" : `id: ${message.id}\n`;
    return this.#write(`${id}event: ${message.event}\ndata: ${JSON.stringify(message.data)}\n\n`);
  }

  /** Keeps proxies from closing a silent connection. */
  heartbeat(): Promise<void> {
    return this.#write(": still here\n\n");
  }

  /** How long a browser waits before it connects again. */
  retryAfter(ms: number): Promise<void> {
    return this.#write(`retry: ${ms}\n\n`);
  }

  end(): void {
    this.#response.end();
  }

  /** Resolves when the reader can take more: a slow one slows its own stream down, and nobody else. */
  async #write(text: string): Promise<void> {
    if (!this.isOpen || this.#response.write(text)) return;
    const free = Promise.withResolvers<void>();
    const timer = setTimeout(() => this.#response.destroy(), STALLED_MS);
    this.#response.once("drain", free.resolve).once("close", free.resolve);
    try {
      await free.promise;
    } finally {
      clearTimeout(timer);
      this.#response.off("drain", free.resolve).off("close", free.resolve);
    }
  }
}

import { until } from "@manyline/testkit";
import type { CallOptions } from "./support.ts";

export type SseMessage = { event: string; id: string | undefined; data: Record<string, unknown> };

/** Reads an event stream in the background, as a browser's EventSource without its reconnecting. */
export class SseReader implements AsyncDisposable {
  readonly messages: SseMessage[] = [];
  readonly response: Response;
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;
  hasEnded = false;

  private constructor(response: Response, abort: AbortController) {
    this.response = response;
    this.#abort = abort;
    this.#reading = this.#read();
  }

  static async open(url: string, options: CallOptions): Promise<SseReader> {
    const abort = new AbortController();
    const response = await fetch(url, {
      signal: abort.signal,
      headers: {
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.cookie === undefined ? {} : { cookie: options.cookie }),
        ...options.headers,
      },
    });
    return new SseReader(response, abort);
  }

  /** The first message of this kind, from `from` on. */
  next(event: string, from = 0, deadlineMs = 5_000): Promise<SseMessage> {
    return until(() => this.messages.slice(from).find((message) => message.event === event), {
      label: `${event} (had ${this.messages.map((message) => message.event).join()})`,
      deadlineMs,
    });
  }

  events(): string[] {
    return this.messages.map(({ event }) => event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  async #read(): Promise<void> {
    let rest = "";
    try {
      for await (const chunk of this.response.body ?? []) {
        rest += Buffer.from(chunk).toString();
        const blocks = rest.split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // Aborted by the test, or cut off by the server: both are an end.
    }
    this.hasEnded = true;
  }

  #take(block: string): void {
    const fields = new Map(
      block.split("\n").map((line) => {
        const at = line.indexOf(": ");
        return [line.slice(0, at), line.slice(at + 2)] as const;
      }),
    );
    const event = fields.get("event");
    if (event === undefined) return;
    const data = JSON.parse(fields.get("data") ?? "{}") as Record<string, unknown>;
    this.messages.push({ event, id: fields.get("id"), data });
  }
}

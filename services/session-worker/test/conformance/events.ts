/** The events of a company as a program hears them: over SSE, with the company's token. */
import assert from "node:assert/strict";
import { type Envelope, parseEvent } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import type { Company, Json } from "../company.ts";

export type Told = Envelope<Json>;

export class Heard implements AsyncDisposable {
  readonly events: Told[] = [];
  readonly #abort: AbortController;
  readonly #reading: Promise<void>;

  private constructor(response: Response, abort: AbortController) {
    this.#abort = abort;
    this.#reading = this.#read(response);
  }

  static async open(company: Company): Promise<Heard> {
    const abort = new AbortController();
    const response = await fetch(
      `${company.whole.url}/api/whatsapp/sessions/${company.id}/events`,
      { signal: abort.signal, headers: { authorization: `Bearer ${company.token}` } },
    );
    assert.equal(response.status, 200);
    return new Heard(response, abort);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }

  /** What was told of one of our messages, in the order of its chat. */
  of(messageId: string): Told[] {
    return this.events
      .filter(({ data }) => data["messageId"] === messageId)
      .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
  }

  /** Waits for an event. */
  until(type: string, is: (data: Json) => boolean): Promise<Told> {
    return until(() => this.events.find((one) => one.type === type && is(one.data)), {
      label: type,
      deadlineMs: 20_000,
    });
  }

  async #read(response: Response): Promise<void> {
    let rest = "";
    try {
      for await (const chunk of response.body ?? []) {
        rest += Buffer.from(chunk).toString();
        const blocks = rest.split("\n\n");
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // Ended by the test.
    }
  }

  #take(block: string): void {
    const data = /^data: (.*)$/m.exec(block)?.[1];
    if (data === undefined || !/^id: /m.test(block)) return;
    const { loggedAt: _at, serverTime: _now, ...envelope } = JSON.parse(data) as Json;
    const parsed = parseEvent(envelope);
    assert.ok(parsed.ok, data);
    this.events.push(parsed.envelope as Told);
  }
}

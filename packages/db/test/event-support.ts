/** Events for tests, and a stream in memory that can fail, be made anew and lose its end. */
import assert from "node:assert/strict";
import { makeEvent, sessionConnected, type CompanyId, type NumberId } from "@manyline/contracts";
import {
  appendEvents,
  type EventRelayOptions,
  fencedTransaction,
  type Publisher,
  type StoredEvent,
} from "../src/index.ts";
import type { ownedNumber, World } from "./support.ts";

export type Owned = Awaited<ReturnType<typeof ownedNumber>>;

/** Commits `count` events of a number, without publishing them. */
export async function commitEvents(
  world: World,
  { fence, company, number }: Owned,
  count: number,
): Promise<StoredEvent[]> {
  const events = Array.from({ length: count }, () =>
    makeEvent(
      sessionConnected,
      { companyId: company.companyId as CompanyId, numberId: number.numberId as NumberId },
      {
        status: "connected",
        reason: "open",
        previousStatus: "connecting",
        since: new Date().toISOString(),
        provider: "linked",
        phone: "79001234567",
        nextAction: "none",
      },
      { service: "test", at: new Date() },
    ),
  );
  const { companyNo, numberNo } = fence;
  const stored = await fencedTransaction(world.worker, fence, (tx) =>
    appendEvents(
      tx,
      events.map((event) => ({ companyNo, numberNo, event })),
    ),
  );
  for (const { text, envelope } of stored) assert.equal(text, JSON.stringify(envelope));
  return stored;
}

/** As the log gives them back. */
export function asRead(events: readonly StoredEvent[]): StoredEvent[] {
  return events.map(({ text: _text, publicationNo: _publicationNo, ...event }) => event);
}

export const quietLogger: EventRelayOptions["logger"] = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
};

type Message = { seq: number; id: string; subject: string; body: string };

export class FakeStream implements Publisher {
  incarnation = "2026-01-01T00:00:00.000000001Z";
  messages: Message[] = [];
  isDown = false;
  /** Ids that cannot be published. */
  refused = new Set<string>();
  /** How often something was sent, repeats included. */
  sent = 0;
  #last = 0;

  async publish(subject: string, bytes: Buffer, msgId: string): Promise<{ seq: number }> {
    if (this.isDown) throw new Error("the stream is away");
    if (this.refused.has(msgId)) throw new Error("refused");
    this.sent += 1;
    const known = this.messages.find(({ id }) => id === msgId);
    if (known) return { seq: known.seq };
    this.#last += 1;
    this.messages.push({ seq: this.#last, id: msgId, subject, body: bytes.toString() });
    return { seq: this.#last };
  }

  async streamState(): Promise<{ incarnation: string; lastSeq: number }> {
    if (this.isDown) throw new Error("the stream is away");
    return { incarnation: this.incarnation, lastSeq: this.#last };
  }

  get ids(): string[] {
    return this.messages.map(({ id }) => id);
  }

  /** A store that was deleted: the stream is made again, empty. */
  wipe(): void {
    this.incarnation = `2026-01-02T00:00:00.00000000${this.messages.length % 10}Z`;
    this.messages = [];
    this.#last = 0;
  }

  /** A store that lost its end, and kept its creation time. */
  rollBack(lastSeq: number): void {
    this.messages = this.messages.filter(({ seq }) => seq <= lastSeq);
    this.#last = lastSeq;
  }
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { createSilentLogger } from "../logger.ts";
import { defaultRetryDelayMs, judgeError, Settler } from "./settler.ts";
import type { Delivery } from "./stream-message.ts";
import type { BatchOptions, DurableOptions, StreamMessage } from "./types.ts";
import type { Wire } from "./wire.ts";

function delivery(seq: number): Delivery {
  const message: StreamMessage = {
    stream: "S",
    subject: "s",
    data: new Uint8Array(),
    seq,
    storedAt: new Date(0),
    deliveryCount: 1,
    pendingCount: 0,
    msgId: undefined,
    header: () => undefined,
  };
  return { message, deliverySeq: seq, reply: `ack.${seq}` };
}

/** Keeps the answers, by reply subject. */
function fakeWire(): { wire: Wire; answers: string[] } {
  const answers: string[] = [];
  const never = new Promise<never>(() => undefined);
  const wire: Wire = {
    serverVersion: "0",
    maxPayload: 1,
    closed: never,
    newInbox: () => "inbox",
    publish: (subject, data) => {
      answers.push(`${subject} ${Buffer.from(data).toString()}`);
    },
    subscribe: () => () => undefined,
    request: () => never,
    flush: () => never,
    close: () => never,
  };
  return { wire, answers };
}

const BASE = { stream: "S", durable: "d", retryDelayMs: (attempt: number) => attempt * 100 };

async function settle(handler: DurableOptions["handler"], times = 1): Promise<string[]> {
  const options: DurableOptions = { ...BASE, maxAttempts: 2, handler };
  const settler = new Settler(options, createSilentLogger());
  const { wire, answers } = fakeWire();
  for (let time = 0; time < times; time += 1) await settler.settle(wire, options, delivery(1));
  return answers;
}

test("each outcome has its answer", async () => {
  assert.deepEqual(await settle(() => undefined), ["ack.1 +ACK"]);
  assert.deepEqual(await settle(() => "retry"), ['ack.1 -NAK {"delay":100000000}']);
  assert.deepEqual(await settle(() => "give-up"), ["ack.1 +TERM"]);
  assert.deepEqual(await settle(() => ({ outcome: "retry", delayMs: 0 })), ["ack.1 -NAK"]);
  assert.deepEqual(
    await settle(() => {
      throw Object.assign(new Error("x"), { retry: "never" });
    }),
    ["ack.1 +TERM"],
  );
});

test("attempts are counted per message, and a chosen pause is none", async () => {
  const twice = await settle(() => "retry", 2);
  assert.deepEqual(twice, ['ack.1 -NAK {"delay":100000000}', "ack.1 +TERM"]);
  const scheduled = await settle(() => ({ outcome: "retry", delayMs: 5 }), 3);
  assert.ok(scheduled.every((line) => line.includes("-NAK")));
});

test("errors are judged by their retry field", () => {
  assert.equal(judgeError(new Error("x")), "failed");
  assert.equal(judgeError(undefined), "failed");
  assert.equal(judgeError({ retry: "later" }), "passing");
  assert.equal(judgeError({ retry: "now" }), "passing");
  assert.equal(judgeError({ retry: "never" }), "final");
});

test("the default pause grows from about a second to a minute", () => {
  assert.ok(defaultRetryDelayMs(1) >= 750 && defaultRetryDelayMs(1) <= 1_000);
  assert.ok(defaultRetryDelayMs(3) >= 3_000);
  assert.ok(defaultRetryDelayMs(1_000) <= 60_000);
});

test("a batch with two bad messages answers for each message once", async () => {
  const calls: number[][] = [];
  const options: BatchOptions = {
    ...BASE,
    maxAttempts: 1,
    batch: { maxMessages: 8 },
    handleBatch: (messages) => {
      calls.push(messages.map(({ seq }) => seq));
      if (messages.some(({ seq }) => seq === 2 || seq === 7)) throw new Error("bad");
    },
  };
  const { wire, answers } = fakeWire();
  const batch = [1, 2, 3, 4, 5, 6, 7, 8].map(delivery);
  await new Settler(options, createSilentLogger()).settleBatch(wire, options, batch);
  const expected = batch.map(({ message: { seq } }) =>
    seq === 2 || seq === 7 ? `ack.${seq} +TERM` : `ack.${seq} +ACK`,
  );
  assert.deepEqual(answers, expected);
  assert.ok(calls.length <= 13, "halving, not one by one");
});

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "@manyline/testkit";
import type { Connect } from "../src/bus/wire.ts";
import { BusUnavailable } from "../src/index.ts";
import type { StreamMessage } from "../src/index.ts";
import { EVENTS, consumerCount, publishMany, unanswered, useBusRoom } from "./bus-room.ts";

/** Batches and ordered readers. */
export function defineReadingSuite(title: string, connect: Connect, env: NodeJS.ProcessEnv): void {
  describe(`${title}: reading`, () => {
    const room = useBusRoom(connect, env);

    test("batches keep stream order, and a bad message is found by halving", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 40);
      const done: number[] = [];
      const sizes: number[] = [];
      const bad: string[] = [];
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        maxInFlight: 64,
        maxAttempts: 1,
        batch: { maxMessages: 16, maxWaitMs: 20 },
        handleBatch: (messages) => {
          sizes.push(messages.length);
          if (messages.some(({ seq }) => seq === 23)) throw new Error("cannot read 23");
          done.push(...messages.map(({ seq }) => seq));
        },
        onGiveUp: ({ message, reason }) => void bad.push(`${message.seq} ${reason}`),
      });
      await until(() => done.length === 39 && bad.length === 1);
      assert.deepEqual(
        done,
        Array.from({ length: 40 }, (_, index) => index + 1).filter((seq) => seq !== 23),
      );
      assert.deepEqual(bad, ["23 1 attempts failed, the last: cannot read 23"]);
      assert.ok(sizes.some((size) => size > 1) && sizes.every((size) => size <= 16));
      await until(async () => (await unanswered(bus, "worker")) === 0);
    });

    test("a batch is retried whole when a dependency is down", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 5);
      let failureCount = 0;
      const done = new Set<number>();
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        maxAttempts: 1,
        retryDelayMs: () => 20,
        batch: { maxMessages: 5 },
        handleBatch: (messages) => {
          if (failureCount < 2) {
            failureCount += 1;
            throw new BusUnavailable("timeout", "a dependency");
          }
          for (const { seq } of messages) done.add(seq);
        },
      });
      await until(() => done.size === 5);
    });

    test("an ordered reader starts at a sequence, a time, or the end", async () => {
      const bus = await room.openReady();
      const state = await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 4);
      const read = (options: object) => {
        const seen: number[] = [];
        bus.consume({
          stream: "EVENTS",
          ordered: true,
          handler: async ({ seq }) => {
            await Promise.resolve();
            seen.push(seq);
          },
          ...options,
        });
        return seen;
      };
      const fromThree = read({ startAt: { seq: 3 }, incarnation: state.incarnation });
      const all = read({});
      const sinceThen = read({ startAt: { time: new Date(Date.now() - 60_000) } });
      const wrongPlace = read({ startAt: { seq: 3 }, incarnation: "2020-01-01T00:00:00Z" });
      const fresh = read({ startAt: "new" });
      await until(() => all.length === 4 && fromThree.length === 2 && wrongPlace.length === 4);
      await until(() => sinceThen.length === 4);
      await until(async () => (await consumerCount(bus)) === 5);
      await publishMany(bus, 5, 5);
      await until(() => [all, fresh, fromThree, wrongPlace].every((seen) => seen.includes(5)));
      assert.deepEqual(all, [1, 2, 3, 4, 5]);
      assert.deepEqual(fromThree, [3, 4, 5]);
      assert.deepEqual(wrongPlace, [1, 2, 3, 4, 5]);
      assert.deepEqual(fresh, [5]);
    });

    test("stream messages carry sequence, time, id and headers", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      const beforeMs = Date.now();
      await bus.publish("message.a", "body", { msgId: "the-id", headers: { traceparent: "00-x" } });
      const seen: StreamMessage[] = [];
      bus.consume({
        stream: "EVENTS",
        ordered: true,
        handler: (message) => void seen.push(message),
      });
      const message = await until(() => seen[0]);
      assert.equal(message.stream, "EVENTS");
      assert.equal(message.subject, "message.a");
      assert.equal(Buffer.from(message.data).toString(), "body");
      assert.equal(message.seq, 1);
      assert.equal(message.msgId, "the-id");
      assert.equal(message.header("traceparent"), "00-x");
      assert.ok(Math.abs(message.storedAt.getTime() - beforeMs) < 5_000);
    });
  });
}

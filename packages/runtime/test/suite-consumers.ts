import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "@manyline/testkit";
import type { Connect } from "../src/bus/wire.ts";
import type { Bus } from "../src/index.ts";
import { EVENTS, publishMany, unanswered, useBusRoom } from "./bus-room.ts";

/** Durables: retry, giving up, what is in flight, sharing. */
export function defineConsumersSuite(
  title: string,
  connect: Connect,
  env: NodeJS.ProcessEnv,
): void {
  describe(`${title}: consumers`, () => {
    const room = useBusRoom(connect, env);

    test("retry comes again after its pause, ack does not, a throw counts as a failure", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 3);
      const seen: string[] = [];
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        retryDelayMs: () => 50,
        handler: ({ seq, deliveryCount }) => {
          seen.push(`${seq}.${deliveryCount}`);
          if (seq === 2 && deliveryCount === 1) return "retry";
          if (seq === 3 && deliveryCount === 1) throw new Error("at first");
          return "ack";
        },
      });
      await until(() => seen.length === 5);
      assert.deepEqual(seen.toSorted(), ["1.1", "2.1", "2.2", "3.1", "3.2"]);
      await until(async () => (await unanswered(bus, "worker")) === 0);
    });

    test("giving up: by outcome, by an error that says never, after the last attempt", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 4);
      const reasons = new Map<number, string>();
      const calls: number[] = [];
      let isDeadLetterDown = true;
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        maxAttempts: 3,
        retryDelayMs: () => 10,
        handler: ({ seq }) => {
          calls.push(seq);
          if (seq === 1) return { outcome: "give-up", reason: "unknown version" };
          if (seq === 2) throw Object.assign(new Error("bad body"), { retry: "never" });
          if (seq === 3) throw new Error("bug");
          return "ack";
        },
        onGiveUp: ({ message, reason }) => {
          if (message.seq === 1 && isDeadLetterDown) {
            isDeadLetterDown = false;
            throw new Error("dead letter store is down");
          }
          reasons.set(message.seq, reason);
        },
      });
      await until(() => reasons.size === 3);
      assert.equal(reasons.get(1), "unknown version");
      assert.equal(reasons.get(2), "bad body");
      assert.equal(reasons.get(3), "3 attempts failed, the last: bug");
      await until(async () => (await unanswered(bus, "worker")) === 0);
      assert.equal(calls.filter((seq) => seq === 3).length, 3);
      assert.equal(calls.filter((seq) => seq === 1).length, 2);
      assert.equal(calls.filter((seq) => seq === 2).length, 1);
    });

    test("a dependency that is down costs no attempt", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 1);
      let callCount = 0;
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        maxAttempts: 2,
        retryDelayMs: () => 10,
        handler: () => {
          callCount += 1;
          if (callCount <= 5) throw Object.assign(new Error("db down"), { retry: "later" });
        },
      });
      await until(() => callCount === 6);
      await until(async () => (await unanswered(bus, "worker")) === 0);
    });

    test("no more in flight than asked for", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 30);
      let runningCount = 0;
      let mostRunning = 0;
      let doneCount = 0;
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        maxInFlight: 4,
        handler: async () => {
          runningCount += 1;
          mostRunning = Math.max(mostRunning, runningCount);
          await new Promise((resolve) => {
            setTimeout(resolve, 5);
          });
          runningCount -= 1;
          doneCount += 1;
        },
      });
      await until(() => doneCount === 30);
      assert.equal(mostRunning, 4);
    });

    test("a handler slower than the ack wait keeps its message", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 1);
      let callCount = 0;
      let isDone = false;
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        ackWaitMs: 300,
        handler: async () => {
          callCount += 1;
          await new Promise((resolve) => {
            setTimeout(resolve, 1_000);
          });
          isDone = true;
        },
      });
      await until(() => isDone);
      await until(async () => (await unanswered(bus, "worker")) === 0);
      assert.equal(callCount, 1);
    });

    test("two members of a durable share, and one that closes leaves nothing behind", async () => {
      const [a, b] = [await room.openReady(), await room.openReady()];
      await a.ensureStream(EVENTS);
      const seen: string[] = [];
      const consume = (bus: Bus, name: string) =>
        bus.consume({
          stream: "EVENTS",
          durable: "shared",
          maxInFlight: 2,
          handler: ({ seq }) => void seen.push(`${name}${seq}`),
        });
      const first = consume(a, "a");
      consume(b, "b");
      await publishMany(a, 1, 20);
      await until(() => seen.length === 20);
      await first.close();
      await publishMany(a, 21, 30);
      await until(() => seen.length === 30, { deadlineMs: 5_000 });
      assert.ok(seen.slice(20).every((entry) => entry.startsWith("b")));
      assert.equal(new Set(seen.map((entry) => entry.slice(1))).size, 30);
    });

    test("a durable goes on where it was, filters, and takes a changed filter", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      const seen: string[] = [];
      const start = (filterSubject: string) =>
        bus.consume({
          stream: "EVENTS",
          durable: "worker",
          filterSubject,
          handler: ({ subject }) => void seen.push(subject),
        });
      const first = start("session.connected.>");
      await bus.publish("session.connected.acme", "", { msgId: "1" });
      await bus.publish("session.error.acme", "", { msgId: "2" });
      await until(() => seen.length === 1);
      await first.close();
      await bus.publish("session.connected.other", "", { msgId: "3" });
      const second = start("session.connected.>");
      await until(() => seen.length === 2);
      await second.close();
      start("session.error.>");
      await bus.publish("session.error.other", "", { msgId: "4" });
      await until(() => seen.includes("session.error.other"));
      assert.deepEqual(seen.slice(0, 2), ["session.connected.acme", "session.connected.other"]);
    });
  });
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "@manyline/testkit";
import type { Connect } from "../src/bus/wire.ts";
import { BusRefused, StreamMismatch, StreamMissing } from "../src/index.ts";
import type { StreamFound } from "../src/index.ts";
import { EVENTS, consumerCount, publishMany, textOf, useBusRoom } from "./bus-room.ts";

/** Streams: de-duplication, a store that was deleted or rolled back, configuration. */
export function defineStreamsSuite(title: string, connect: Connect, env: NodeJS.ProcessEnv): void {
  describe(`${title}: streams`, () => {
    const room = useBusRoom(connect, env);

    test("the server drops a second message with the same id", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      const first = await bus.publish("message.a", "1", { msgId: "same" });
      const second = await bus.publish("message.b", "2", { msgId: "same" });
      assert.deepEqual(first, { stream: "EVENTS", seq: 1, isDuplicate: false });
      assert.deepEqual(second, { stream: "EVENTS", seq: 1, isDuplicate: true });
      assert.equal((await bus.streamState("EVENTS")).messageCount, 1);
    });

    test("a deleted store: another incarnation, streams and consumers come back", async () => {
      const bus = await room.openReady();
      const before = await bus.ensureStream(EVENTS);
      const found: StreamFound[] = [];
      bus.onStream((stream) => found.push(stream));
      const durable: string[] = [];
      const ordered: string[] = [];
      const resets: number[] = [];
      bus.consume({
        stream: "EVENTS",
        durable: "worker",
        startAt: "new",
        handler: (message) => void durable.push(textOf(message)),
      });
      bus.consume({
        stream: "EVENTS",
        ordered: true,
        handler: (message) => void ordered.push(textOf(message)),
        onReset: (state) => resets.push(state.lastSeq),
      });
      await until(async () => (await consumerCount(bus)) === 2);
      await publishMany(bus, 1, 5);
      await until(() => ordered.length === 5 && durable.length === 5);
      await room.nats.wipe();
      await until(() => bus.connected);
      const after = await bus.streamState("EVENTS");
      assert.notEqual(after.incarnation, before.incarnation);
      assert.ok(after.incarnation > before.incarnation, "creation times ascend");
      assert.deepEqual(
        found.map(({ name, isCreated, previous, incarnation, lastSeq }) => ({
          name,
          isCreated,
          previous,
          incarnation,
          lastSeq,
        })),
        [
          {
            name: "EVENTS",
            isCreated: true,
            previous: before.incarnation,
            incarnation: after.incarnation,
            lastSeq: 0,
          },
        ],
      );
      await publishMany(bus, 6, 7);
      await until(() => ordered.length === 7 && durable.includes("m7"));
      assert.deepEqual(ordered.slice(5), ["m6", "m7"]);
      assert.ok(durable.includes("m6"));
      assert.equal(resets.length, 1);
    });

    test("a stream deleted under a live connection is made again by publishing", async () => {
      const bus = await room.openReady();
      const { incarnation } = await bus.ensureStream(EVENTS);
      await bus.request("$JS.API.STREAM.DELETE.EVENTS");
      await assert.rejects(bus.streamState("EVENTS"), StreamMissing);
      const ack = await bus.publish("message.a", "1", { msgId: "1" });
      assert.equal(ack.seq, 1);
      assert.notEqual((await bus.streamState("EVENTS")).incarnation, incarnation);
      await assert.rejects(bus.publish("elsewhere.a", "1", { msgId: "2" }), StreamMissing);
    });

    test("a rolled-back store keeps its incarnation and shows a lower last sequence", async () => {
      const bus = await room.openReady();
      await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 3);
      const copy = await room.nats.saveStore();
      await until(() => bus.connected);
      const before = await bus.streamState("EVENTS");
      await publishMany(bus, 4, 6);
      const ordered: number[] = [];
      let resetCount = 0;
      bus.consume({
        stream: "EVENTS",
        ordered: true,
        startAt: { seq: 5 },
        handler: ({ seq }) => void ordered.push(seq),
        onReset: () => {
          resetCount += 1;
        },
      });
      await until(() => ordered.length === 2);
      await copy.restore();
      await until(() => bus.connected && resetCount === 1 && ordered.length === 5);
      const after = await bus.streamState("EVENTS");
      assert.equal(after.incarnation, before.incarnation);
      assert.equal(after.lastSeq, 3);
      assert.deepEqual(ordered, [5, 6, 1, 2, 3]);
    });

    test("a newer version adds its subjects, keeps what is stored, and an older one goes on", async () => {
      const bus = await room.openReady();
      const first = await bus.ensureStream(EVENTS);
      await publishMany(bus, 1, 3);
      const wider = { ...EVENTS, subjects: [...EVENTS.subjects, "account.>"] };
      const widened = await bus.ensureStream(wider);
      assert.deepEqual([widened.incarnation, widened.lastSeq], [first.incarnation, 3]);
      assert.equal((await bus.publish("account.x", "1", { msgId: "a1" })).seq, 4);
      assert.equal((await bus.ensureStream(EVENTS)).lastSeq, 4);
      assert.equal((await bus.ensureStream(wider)).lastSeq, 4);
    });

    test("ensureStream is repeatable and names what differs", async () => {
      const bus = await room.openReady();
      const first = await bus.ensureStream(EVENTS);
      assert.equal((await bus.ensureStream(EVENTS)).incarnation, first.incarnation);
      await assert.rejects(
        bus.ensureStream({ ...EVENTS, maxAgeMs: 60_000, subjects: ["other.>"] }),
        (error: unknown) => {
          assert.ok(error instanceof StreamMismatch);
          assert.match(error.message, /subjects is message\.> session\.>, wanted other\.>/);
          assert.match(error.message, /maxAgeMs is 3600000, wanted 60000/);
          return true;
        },
      );
      await assert.rejects(
        bus.ensureStream({ ...EVENTS, name: "OTHER", subjects: ["message.x"] }),
        (error: unknown) => error instanceof BusRefused && error.retry === "never",
      );
    });
  });
}

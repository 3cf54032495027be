import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { until } from "@manyline/testkit";
import { connectWithNats } from "../src/bus/nats-bus.ts";
import { EVENTS, publishMany, textOf, useBusRoom } from "./bus-room.ts";

/** Our JetStream speaks the wire itself, so a client by the maintainers has to agree with it. */
describe("beside the maintainers' JetStream client", () => {
  const room = useBusRoom(connectWithNats, process.env);

  test("it reads what we store, and works on a durable that we made", async () => {
    const bus = await room.openReady();
    await bus.ensureStream(EVENTS);
    const ours: string[] = [];
    const consumer = bus.consume({
      stream: "EVENTS",
      durable: "shared",
      handler: (message) => void ours.push(textOf(message)),
    });
    await publishMany(bus, 1, 3);
    await until(() => ours.length === 3);
    await consumer.close();
    await publishMany(bus, 4, 5);

    const nc = await connect({ servers: room.nats.url });
    try {
      const manager = await jetstreamManager(nc);
      const info = await manager.streams.info("EVENTS");
      assert.equal(info.created, (await bus.streamState("EVENTS")).incarnation);
      assert.equal(info.config.max_age, EVENTS.maxAgeMs * 1e6);
      const theirs = await (
        await jetstream(nc).consumers.get("EVENTS", "shared")
      ).fetch({
        max_messages: 2,
        expires: 2_000,
      });
      const texts: string[] = [];
      for await (const message of theirs) {
        texts.push(message.string());
        message.ack();
      }
      assert.deepEqual(texts, ["m4", "m5"]);
    } finally {
      await nc.close();
    }
  });

  test("we read what it stores, on a durable that it made", async () => {
    const bus = await room.openReady();
    await bus.ensureStream(EVENTS);
    const nc = await connect({ servers: room.nats.url });
    try {
      const manager = await jetstreamManager(nc);
      await manager.consumers.add("EVENTS", {
        durable_name: "theirs",
        ack_policy: AckPolicy.Explicit,
        max_deliver: 7,
      });
      await jetstream(nc).publish("message.sent.acme.1", "from them", { msgID: "x" });
      assert.ok((await bus.publish("message.other", "", { msgId: "x" })).isDuplicate);
      const seen: string[] = [];
      bus.consume({
        stream: "EVENTS",
        durable: "theirs",
        handler: (message) => void seen.push(`${message.msgId} ${textOf(message)}`),
      });
      await until(() => seen.length === 1);
      assert.deepEqual(seen, ["x from them"]);
      const { config } = await manager.consumers.info("EVENTS", "theirs");
      assert.equal(config.max_deliver, -1, "brought to what we want");
    } finally {
      await nc.close();
    }
  });
});

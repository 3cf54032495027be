import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "@manyline/testkit";
import { connectWithNats } from "../src/bus/nats-bus.ts";
import { BusRefused } from "../src/index.ts";
import { EVENTS, useBusRoom } from "./bus-room.ts";

/**
 * The least that a service needs, as the README lists it: its own inboxes, the API calls of one
 * stream and one durable, the subjects it publishes. `reader` is a company's own credential.
 */
const CONFIG = `
authorization {
  users = [
    { user: setup, password: pw }
    { user: relay, password: "p@w", permissions: {
        publish: ["session.>", "message.>", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.CREATE.EVENTS"]
        subscribe: ["_INBOX.relay.>"] } }
    { user: notifier, password: pw, permissions: {
        publish: ["$JS.API.CONSUMER.INFO.EVENTS.notifier", "$JS.API.CONSUMER.CREATE.EVENTS.notifier",
                  "$JS.API.CONSUMER.MSG.NEXT.EVENTS.notifier", "$JS.ACK.EVENTS.notifier.>"]
        subscribe: ["_INBOX.notifier.>"] } }
    { user: reader, password: pw, permissions: {
        publish: { deny: ">" }, subscribe: ["session.*.acme.>", "_INBOX.acme.>"] } }
  ]
}
`;

describe("least permissions", () => {
  const room = useBusRoom(connectWithNats, process.env, CONFIG);
  const urlFor = (user: string, password = "pw"): string =>
    room.nats.url.replace("nats://", `nats://${user}:${encodeURIComponent(password)}@`);

  test("a relay and a notifier work with theirs", async () => {
    const relay = await room.openReady({
      servers: urlFor("relay", "p@w"),
      inboxPrefix: "_INBOX.relay",
    });
    await relay.ensureStream(EVENTS);
    const notifier = await room.openReady({
      servers: urlFor("notifier"),
      inboxPrefix: "_INBOX.notifier",
    });
    const seen: number[] = [];
    notifier.consume({
      stream: "EVENTS",
      durable: "notifier",
      handler: ({ seq }) => void seen.push(seq),
    });
    await relay.publish("message.sent.acme.1", "1", { msgId: "1" });
    await until(() => seen.length === 1);
    await assert.rejects(
      notifier.publish("message.sent.acme.1", "1", { msgId: "2", timeoutMs: 500 }),
    );
  });

  test("a company's reader hears its own only; what is refused is logged", async () => {
    const setup = await room.openReady({ servers: urlFor("setup") });
    const reader = await room.openReady({ servers: urlFor("reader"), inboxPrefix: "_INBOX.acme" });
    const seen: string[] = [];
    reader.subscribe("session.*.acme.>", ({ subject }) => void seen.push(subject));
    reader.subscribe("session.>", ({ subject }) => void seen.push(`leak ${subject}`));
    reader.poke("session.connected.acme.forged");
    await until(() => room.log.includes("subscription refused"));
    setup.poke("session.connected.other.num_1");
    setup.poke("session.connected.acme.num_1");
    await until(() => seen.length === 1);
    assert.deepEqual(seen, ["session.connected.acme.num_1"]);
    assert.ok(reader.connected, "a refusal does not end the connection");
  });

  test("a wrong password is tried again for ever, and visible", async () => {
    const bus = room.open({ servers: urlFor("setup", "wrong") });
    await until(() => bus.status.error);
    assert.match(String(bus.status.error?.message), /authorization/i);
    assert.ok(!room.log.includes("wrong"));
    assert.ok(!(bus.status.error instanceof BusRefused));
    assert.equal(bus.connected, false);
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { toDelivery } from "./stream-message.ts";
import type { WireMessage } from "./wire.ts";

function wireMessage(reply: string | undefined): WireMessage {
  return {
    subject: "message.sent.acme.1",
    data: Buffer.from("x"),
    reply,
    status: 0,
    description: "",
    header: (name) => (name === "Nats-Msg-Id" ? "id-1" : undefined),
  };
}

test("reads the place of a message from both forms of reply subject", () => {
  const short = toDelivery(wireMessage("$JS.ACK.EVENTS.worker.2.57.9.1767225600123456789.4"));
  const long = toDelivery(
    wireMessage("$JS.ACK.hub.ACCHASH.EVENTS.worker.2.57.9.1767225600123456789.4.rnd"),
  );
  for (const delivery of [short, long]) {
    assert.equal(delivery?.message.stream, "EVENTS");
    assert.equal(delivery?.message.seq, 57);
    assert.equal(delivery?.deliverySeq, 9);
    assert.equal(delivery?.message.deliveryCount, 2);
    assert.equal(delivery?.message.pendingCount, 4);
    assert.equal(delivery?.message.msgId, "id-1");
    assert.equal(delivery?.message.storedAt.toISOString(), "2026-01-01T00:00:00.123Z");
  }
});

test("anything else is no delivery", () => {
  assert.equal(toDelivery(wireMessage(undefined)), undefined);
  assert.equal(toDelivery(wireMessage("_INBOX.abc")), undefined);
  assert.equal(toDelivery(wireMessage("$JS.ACK.EVENTS")), undefined);
});

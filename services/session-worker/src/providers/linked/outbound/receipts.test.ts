import assert from "node:assert/strict";
import { it } from "node:test";
import type { BinaryNode } from "@whiskeysockets/baileys";
import { receiptsIn } from "./receipts.ts";

const ME = { id: "79001234567:3@s.whatsapp.net", lid: "187650000000001:3@lid" };
const receipt = (attrs: Record<string, string>, content?: BinaryNode[]): BinaryNode => ({
  tag: "receipt",
  attrs: { id: "A", from: "187650000000002@lid", t: "1795256000", ...attrs },
  ...(content ? { content } : {}),
});
const told = (node: BinaryNode) =>
  receiptsIn(node, ME).map(({ providerMessageId, state }) => `${providerMessageId} ${state}`);

it("delivered and read, of one message or several", () => {
  assert.deepEqual(told(receipt({})), ["A delivered"]);
  assert.deepEqual(told(receipt({ type: "inactive" })), ["A delivered"]);
  assert.deepEqual(told(receipt({ type: "read" })), ["A read"]);
  assert.deepEqual(told(receipt({ type: "played" })), ["A read"]);
  const items = ["B", "C"].map((id) => ({ tag: "item", attrs: { id } }));
  const list = { tag: "list", attrs: {}, content: items };
  assert.deepEqual(told(receipt({ type: "read" }, [list])), ["A read", "B read", "C read"]);
  const [one] = receiptsIn(receipt({}), ME);
  assert.equal(one?.at.toISOString(), "2026-11-21T10:13:20.000Z");
});

it("of a group by who in it, never the number's own devices", () => {
  const group = { from: "12036300@g.us", type: "read" };
  assert.deepEqual(told(receipt({ ...group, participant: "187650000000002@lid" })), ["A read"]);
  assert.deepEqual(told(receipt({ ...group, participant: "187650000000001:7@lid" })), []);
  assert.deepEqual(told(receipt({ from: "79001234567@s.whatsapp.net" })), []);
});

it("whatever else receipts are about", () => {
  for (const type of ["retry", "sender", "read-self", "peer_msg", "hist_sync", "server-error"]) {
    assert.deepEqual(told(receipt({ type })), [], type);
  }
});

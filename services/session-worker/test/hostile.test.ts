/** What strangers write to do harm: it is told as far as it says something, and harms nobody. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import type { Content } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { allTold, contact, linked, toldOf } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom();
});
after(() => room.close());

/** A sender key as the protocol writes it; of no group that there is. */
const SENDER_KEY = Buffer.concat([
  Buffer.from([0x33, 0x08, 1, 0x10, 0, 0x1a, 32]),
  randomBytes(32),
  Buffer.from([0x22, 33, 5]),
  randomBytes(32),
]);

const senderKeyOf = (groupId: string): Content => ({
  kind: "raw",
  message: {
    conversation: "of a group",
    senderKeyDistributionMessage: {
      groupId,
      axolotlSenderKeyDistributionMessage: SENDER_KEY,
    },
  },
});

const HOSTILE: readonly (readonly [string, Content])[] = [
  ["a sender key with a name that Postgres refuses", senderKeyOf("1\0@g.us")],
  [
    "a sender key with a name that fits into no index",
    senderKeyOf(randomBytes(6_000).toString("hex")),
  ],
  [
    "a vote on a poll that Postgres refuses",
    {
      kind: "raw",
      message: {
        pollUpdateMessage: {
          pollCreationMessageKey: { id: "A\0" },
          vote: { encPayload: Buffer.alloc(40), encIv: Buffer.alloc(12) },
        },
      },
    },
  ],
  ["a text of 3 MB", { kind: "raw", message: { conversation: "\u0001".repeat(3_000_000) } }],
];

describe("the number goes on after", () => {
  for (const [what, content] of HOSTILE) {
    it(what, async () => {
      const one = await linked(room);
      const mallory = contact(room, "Mallory");
      const ann = contact(room, "Ann");
      const sent = await mallory.messages.send(one.phone, content);
      await toldOf(room, one, "message.received", sent.id);
      await until(() => sent.receipts.some(({ deviceId }) => deviceId > 0), {
        label: "a receipt: WhatsApp brings it no more",
      });
      const next = await ann.messages.sendText(one.phone, "hello");
      await toldOf(room, one, "message.received", next.id);
      const told = await allTold(room, one);
      assert.ok(
        told.every(({ data }) => data["reason"] !== "reconnecting"),
        "it stayed connected",
      );
    });
  }
});

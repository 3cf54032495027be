import assert from "node:assert/strict";
import { it } from "node:test";
import { wppDedupeKey } from "./dedupe.ts";
import { readWppQr } from "./kinds.ts";
import { connect, platform, WPP_NOW as NOW } from "./testing.ts";

const LATER = new Date(NOW.getTime() + 120_000);

it("a QR is a picture or a text", () => {
  assert.deepEqual(readWppQr("data:image/png;base64,aa"), { image: "data:image/png;base64,aa" });
  assert.deepEqual(readWppQr("iVBORw0KGgo="), { image: "data:image/png;base64,iVBORw0KGgo=" });
  assert.deepEqual(readWppQr("2@ref,noise,identity,adv"), { text: "2@ref,noise,identity,adv" });
  assert.equal(readWppQr(null), null);
});

it("the same piece has the same key, and nothing else does", () => {
  const chat = { account: "1", from: "79000000001", text: "a", type: "chat" };
  const key = (body: object, at = NOW) => wppDedupeKey(platform({ ...chat, ...body }), at);
  assert.equal(key({ messageId: "m" }), key({ messageId: "m" }, LATER));
  assert.notEqual(key({ messageId: "m" }), key({ messageId: "n" }));
  assert.equal(key({}), key({}));
  assert.notEqual(key({}), key({ text: "b" }));
  assert.notEqual(key({}), key({}, LATER));
  const media = (base64: string) => ({ type: "image", media: { base64, mimetype: "image/png" } });
  assert.notEqual(key(media("aaaa")), key(media("bbbb")));
  const reaction = (reactionText: string) =>
    connect({
      event: "onreactionmessage",
      id: "false_1@c.us_R",
      msgId: "true_1@c.us_A",
      reactionText,
    });
  assert.notEqual(wppDedupeKey(reaction("👍"), NOW), wppDedupeKey(reaction(""), NOW));
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Compile } from "typebox/compile";
import { newMediaId, newMessageId } from "../ids.ts";
import { SEND_KIND_NAMES, SEND_KINDS, SendMessage } from "./sends.ts";

const check = Compile(SendMessage);
const to = "+7 900 765-43-21";
const [mediaId, messageId] = [newMediaId(), newMessageId()];

const good: Record<string, object> = {
  text: { to, text: "Good morning\nis Friday free? 👍" },
  image: { to, mediaId, caption: "Like this", isViewOnce: true },
  video: { to, url: "https://example.com/a.mp4" },
  voice: { to, mediaId },
  audio: { to, mediaId },
  document: { to, mediaId, fileName: "price.pdf" },
  sticker: { to, mediaId },
  location: { to, location: { latitude: 55.75, longitude: 37.62, name: "Salon" } },
  contact: { to, contacts: [{ name: "Anna", phones: ["+79007654321"] }] },
  poll: { to, poll: { name: "When?", options: ["Thursday", "Friday"] } },
  template: { to, template: { name: "visit", language: "en_US", components: [{ type: "body" }] } },
  interactive: { to, interactive: { type: "button", body: { text: "Sure?" } } },
  reaction: { messageId, emoji: "👍" },
  edit: { messageId, text: "Is Thursday free?" },
  delete: { messageId },
  read: { messageIds: [messageId] },
  typing: { to, state: "typing" },
};

describe("what can be sent", () => {
  it("has an example of each kind, and nothing besides its own fields", () => {
    assert.deepEqual(Object.keys(good), SEND_KIND_NAMES);
    for (const [type, body] of Object.entries(good)) {
      assert.equal(check.Check({ type, ...body }), true, type);
      assert.equal(check.Check({ type, ...body, extra: 1 }), false, type);
      assert.equal(check.Check({ type: "other", ...body }), false, type);
    }
    assert.equal(check.Check({ type: "reaction", messageId, emoji: null }), true);
    assert.equal(Object.keys(SEND_KINDS).length, 17);
  });
  it("refuses what is empty, too long, too far away, or no text", () => {
    for (const body of [
      { type: "text", to, text: "" },
      { type: "text", to, text: "x".repeat(65_537) },
      { type: "text", to, text: "a\0b" },
      { type: "text", to, text: "a\u001b[2J" },
      { type: "text", to, text: "half \uD800" },
      { type: "text", text: "to nobody" },
      { type: "text", to, text: "x", expiresInSeconds: 1 },
      { type: "text", to, text: "x", replyTo: "msg_1" },
      { type: "location", to, location: { latitude: 91, longitude: 0 } },
      { type: "image", to, url: "file:///etc/passwd" },
      { type: "image", to, mediaId: "../secret" },
      { type: "contact", to, contacts: [] },
      { type: "poll", to, poll: { name: "When?", options: ["one"] } },
      { type: "poll", to, poll: { name: "When?", options: ["one", "one"] } },
      { type: "delete", messageId: "3EB0" },
      { type: "read", messageIds: [] },
      { type: "typing", to, state: "sleeping" },
    ]) {
      assert.equal(check.Check(body), false, JSON.stringify(body).slice(0, 80));
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { normaliseWppPlatform } from "./platform.ts";
import { platform, sessionFacts, WPP_NOW } from "./testing.ts";

describe("the platform's dialect", () => {
  const flat = { account: "1", from: "+79000000001", raw_from: "79000000001@c.us" };

  it("finds the account at the root, then in data, then in the URL", () => {
    const data = { account: "2", from: "79000000001", text: "a" };
    assert.equal(platform({ account: "1", type: "message", data }, "3").facts.session, "1");
    assert.equal(platform({ type: "message", data }, "3").facts.session, "2");
    assert.equal(platform({ type: "qr", data: {} }, "3").facts.session, "3");
    assert.deepEqual(sessionFacts(platform({ type: "connected" }).facts), [
      null,
      "unroutable",
      "connected",
    ]);
  });

  it("knows each name of an event", () => {
    const names = (list: string[], data: object = {}) =>
      list.map((type) => sessionFacts(platform({ type, account: "1", data }).facts).join(" "));
    assert.deepEqual(
      names(["ready", "session.connected", "disconnected", "session.disconnected", "logout"]),
      [
        "1 session.connected connected",
        "1 session.connected connected",
        "1 session.disconnected disconnected",
        "1 session.disconnected disconnected",
        "1 session.disconnected logged_out",
      ],
    );
    assert.deepEqual(
      names(["message.sent", "message.delivered", "message.dead"], { taskId: "t" }),
      ["1 message.status sent", "1 message.status delivered", "1 message.status failed"],
    );
    const said = { from: "79000000001", text: "hello" };
    const messages = [
      "message.incoming",
      "message.received",
      "message",
      "message_in",
      "messages.upsert",
      "chat",
    ];
    assert.deepEqual(new Set(names(messages, said)), new Set(["1 message.received text"]));
    assert.deepEqual(names(["sla.violation", "tomorrow"], { taskId: "t" }), [
      "1 ignored sla.violation",
      "1 ignored tomorrow",
    ]);
  });

  it("strips the placeholder only in front of media", () => {
    const media = { url: "https://files.example/a.jpg", mimetype: "image/jpeg", filename: "file" };
    const text = (body: object) => platform({ ...flat, ...body }).facts.text;
    assert.equal(text({ type: "image", media, text: "[IMAGE]  a cat" }), "a cat");
    assert.equal(text({ type: "image", media, text: "[Image]" }), null);
    assert.equal(text({ type: "image", media, text: "[Cat] a cat" }), "[Cat] a cat");
    assert.equal(text({ type: "chat", text: "[Image] a cat" }), "[Image] a cat");
    assert.equal(text({ type: "image", text: "[Image]" }), "[Image]");
  });

  it("tells the kind of a file by its MIME type", () => {
    const kind = (mimetype: string, body: object = {}) =>
      platform({ ...flat, media: { url: "https://files.example/x", mimetype }, ...body }).facts
        .type;
    assert.equal(kind("image/png", { type: "file" }), "image");
    assert.equal(kind("video/mp4", { type: "file" }), "video");
    assert.equal(kind("audio/ogg; codecs=opus", { type: "file" }), "audio");
    assert.equal(kind("application/zip", { type: "file" }), "document");
    assert.equal(kind("image/png"), "image");
    assert.equal(kind("image/png", { type: "document" }), "document");
  });

  it("keeps a file apart from its message, with its length and without the name of no name", () => {
    const base64 = Buffer.from("twelve bytes").toString("base64");
    const media = { base64: `data:text/plain;base64,${base64}`, filename: "file" };
    const { input } = platform({ ...flat, type: "document", messageId: "m", media });
    assert.ok(input?.kind === "message");
    assert.deepEqual(input.media, {
      mimeType: "application/octet-stream",
      fileName: null,
      bytes: 12,
      source: { base64 },
    });
  });

  it("names who wrote by raw_from, a LID as a LID, in a group the participant", () => {
    const who = (body: object) => platform({ account: "1", type: "chat", text: "a", ...body });
    assert.equal(
      who({ from: "+100000000000021", raw_from: "100000000000021@lid" }).facts.from,
      "lid:100000000000021",
    );
    assert.equal(who({ from: "79000000001:12@s.whatsapp.net" }).facts.from, "79000000001");
    const group = who({
      from: "+120363000000000001",
      raw_from: "120363000000000001@g.us",
      messageId: "false_120363000000000001@g.us_AB_79000000002@c.us",
    });
    assert.equal(group.facts.from, "79000000002");
    assert.ok(group.input?.kind === "message");
    assert.deepEqual(group.input.chat, {
      type: "group",
      providerChatId: "120363000000000001@g.us",
    });
    assert.deepEqual(group.input.from, { phone: "79000000002" });
    const status = who({ from: "+0", raw_from: "status@broadcast" });
    assert.equal(status.facts.event, "ignored");
  });

  it("reads seconds and milliseconds", () => {
    const at = (timestamp: unknown) =>
      platform({ ...flat, text: "a", timestamp }).input?.at.toISOString();
    assert.equal(at(1_767_225_600), "2026-01-01T00:00:00.000Z");
    assert.equal(at("1767225600000"), "2026-01-01T00:00:00.000Z");
    assert.equal(at("soon"), WPP_NOW.toISOString());
  });

  it("names a status by its task, and tells WhatsApp's id besides", () => {
    const data = { taskId: "t1", waMessageId: "true_7900@c.us_AB", status: "delivered" };
    const { input } = platform({ type: "message.status", account: "1", data });
    assert.ok(input?.kind === "status");
    const { providerMessageId, whatsappMessageId, state, recipient } = input;
    assert.deepEqual(
      { providerMessageId, whatsappMessageId, state, recipient },
      {
        providerMessageId: "t1",
        whatsappMessageId: "true_7900@c.us_AB",
        state: "delivered",
        recipient: { phone: "7900" },
      },
    );
    const queued = platform({
      type: "message.status",
      id: "evt",
      account: "1",
      data: { taskId: "t", status: "queued" },
    });
    assert.equal(queued.facts.event, "ignored");
    const only = platform({
      type: "message.status",
      id: "evt",
      account: "1",
      data: { status: "read" },
    });
    assert.equal(only.facts.event, "ignored");
  });

  it("gives an item for each element of a list", () => {
    const data = ["a", "b"].map((text) => ({ from: "79000000001", text }));
    const items = normaliseWppPlatform(
      { type: "messages.upsert", account: "1", data },
      { now: WPP_NOW },
    );
    assert.deepEqual(
      items.map(({ facts }) => facts.text),
      ["a", "b"],
    );
  });
});

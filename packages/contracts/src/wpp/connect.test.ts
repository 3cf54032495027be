import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connect, sessionFacts, shortFacts } from "./testing.ts";

describe("WPPConnect's dialect", () => {
  const message = {
    event: "onmessage",
    id: "false_5511900000001@c.us_A1",
    from: "5511900000001@c.us",
    to: "5511900000099@c.us",
    fromMe: false,
  };

  it("reads ids that are objects, with and without their text", () => {
    const id = { fromMe: false, remote: { user: "5511900000001", server: "c.us" }, id: "A1" };
    assert.equal(connect({ ...message, id, type: "chat", body: "a" }).facts.messageId, message.id);
    assert.equal(
      connect({ ...message, id: { ...id, _serialized: "x" }, type: "chat", body: "a" }).facts
        .messageId,
      "x",
    );
  });

  it("takes no text of a file, a place or a card from its body", () => {
    const text = (body: object) => connect({ ...message, body: "/9j/4AAQ", ...body }).facts.text;
    assert.equal(text({ type: "image" }), null);
    assert.equal(text({ type: "document", caption: "a", filename: "a.pdf" }), "a");
    assert.equal(
      text({ type: "location", lat: 1.5, lng: 2, loc: "Home\nStreet 1" }),
      "Home\nStreet 1",
    );
    assert.equal(text({ type: "vcard", vcardFormattedName: "Ann" }), "Ann");
  });

  it("reads places, cards, polls and replies", () => {
    const content = (body: object) => {
      const { input } = connect({ ...message, ...body });
      assert.ok(input?.kind === "message");
      return input.content;
    };
    assert.deepEqual(content({ type: "location", lat: 1.5, lng: "2", loc: "Home\nStreet 1" }), {
      location: { latitude: 1.5, longitude: 2, name: "Home", address: "Street 1" },
    });
    const vcard = "BEGIN:VCARD\nFN:Ann\nTEL;waid=15550100019:+1 555 0100019\nEND:VCARD";
    assert.deepEqual(content({ type: "vcard", body: vcard }), {
      contacts: [{ name: "Ann", phones: ["+1 555 0100019"], vcard }],
    });
    assert.deepEqual(
      content({
        type: "poll_creation",
        pollName: "When?",
        pollOptions: [{ name: "Now" }, { name: "Later" }],
      }),
      {
        poll: { name: "When?", options: ["Now", "Later"], selectable: 0 },
      },
    );
    const reply = {
      type: "list_response",
      body: "Now",
      listResponse: { singleSelectReply: { selectedRowId: "r1" } },
    };
    assert.deepEqual(content(reply), { selection: { id: "r1", title: "Now" } });
  });

  it("tells nothing of WhatsApp's own book-keeping, of statuses and of channels", () => {
    for (const type of ["revoked", "gp2", "e2e_notification", "call_log", "ciphertext"]) {
      assert.equal(connect({ ...message, type }).facts.event, "ignored", type);
    }
    for (const from of ["status@broadcast", "1@newsletter"]) {
      assert.equal(
        connect({ ...message, id: "x", type: "chat", body: "a", from }).facts.event,
        "ignored",
        from,
      );
    }
  });

  it("names the other party of what the number itself wrote, also where the chat is an object", () => {
    const own = {
      event: "onmessage",
      id: "true_5511900000001@c.us_A1",
      type: "chat",
      body: "a",
      fromMe: true,
      from: "5511900000099@c.us",
      to: "5511900000001@c.us",
      chatId: { _serialized: "5511900000001@c.us" },
    };
    assert.deepEqual(shortFacts(connect(own)), [
      "message.outgoing",
      own.id,
      "5511900000001",
      "text",
      "a",
    ]);
    const { input } = connect(own);
    assert.ok(input?.kind === "message");
    assert.deepEqual([input.event, input.from], ["echoed", null]);
  });

  it("counts an ack only for what was sent", () => {
    const ack = (number: number, more: object = {}) =>
      connect({
        event: "onack",
        id: { fromMe: true, _serialized: "true_1@c.us_A" },
        ack: number,
        self: "out",
        ...more,
      }).facts;
    const types = [-2, 1, 2, 3, 4].map((number) => ack(number).type);
    assert.deepEqual(types, ["failed", "sent", "delivered", "read", "read"]);
    for (const facts of [
      ack(0),
      ack(5),
      ack(3, { self: "in" }),
      ack(3, { id: "false_1@c.us_A" }),
    ]) {
      assert.equal(facts.event, "ignored");
    }
    const mapped = connect({
      event: "onack",
      status: "3",
      id: "true_1@c.us_A",
      timestamp: 1_767_225_600,
    });
    assert.deepEqual(shortFacts(mapped), ["message.status", "true_1@c.us_A", null, "read", null]);
  });

  it("finds who reacted in the id, also in a group, and when a reaction is taken back", () => {
    const reaction = {
      event: "onreactionmessage",
      id: {
        fromMe: false,
        remote: "1203@g.us",
        participant: "5511900000003@c.us",
        id: "B",
        _serialized: "false_1203@g.us_B_5511900000003@c.us",
      },
      msgId: "true_1203@g.us_A",
      reactionText: "",
    };
    assert.deepEqual(shortFacts(connect(reaction)), [
      "message.reaction",
      "true_1203@g.us_A",
      "5511900000003",
      "reaction",
      null,
    ]);
    const { input } = connect(reaction);
    assert.ok(input?.kind === "reaction" && input.emoji === null);
  });

  it("reads votes and calls", () => {
    const vote = connect({
      event: "onpollresponse",
      msgId: { _serialized: "true_5511900000001@c.us_P" },
      chatId: "5511900000001@c.us",
      selectedOptions: [{ name: "Now", localId: 0 }, null],
      sender: "5511900000001@c.us",
      timestamp: 1_767_225_600,
    });
    assert.deepEqual(shortFacts(vote), [
      "message.poll_response",
      "true_5511900000001@c.us_P",
      "5511900000001",
      "poll_response",
      "Now",
    ]);
    const call = connect({
      event: "incomingcall",
      id: "C1",
      peerJid: "5511900000001@c.us",
      isVideo: true,
    });
    assert.deepEqual(shortFacts(call), ["call.incoming", "C1", "5511900000001", "call", null]);
  });

  it("knows each word of a session's life", () => {
    const words = (list: string[]) =>
      list.map((status) =>
        sessionFacts(connect({ event: "status-find", status }).facts)
          .slice(1)
          .join(" "),
      );
    assert.deepEqual(
      words([
        "inChat",
        "isLogged",
        "qrReadSuccess",
        "notLogged",
        "desconnectedMobile",
        "autocloseCalled",
        "browserClose",
        "serverClose",
        "qrReadFail",
        "qrReadError",
        "phoneNotConnected",
        "tomorrow",
      ]),
      [
        "session.connected connected",
        "session.connected connected",
        "session.connecting scanned",
        "session.connecting awaiting_scan",
        "session.disconnected logged_out",
        "session.disconnected disconnected",
        "session.disconnected disconnected",
        "session.disconnected disconnected",
        "session.error qr_failed",
        "session.error qr_failed",
        "session.error phone_not_connected",
        "ignored tomorrow",
      ],
    );
    assert.deepEqual(sessionFacts(connect({ event: "closesession" }).facts), [
      "s-1",
      "session.disconnected",
      "disconnected",
    ]);
  });

  it("reads what the mapper has renamed", () => {
    const mapped = {
      event: "onmessage",
      id: "false_5511900000001@c.us_A1",
      phone: "5511900000001",
      timestamp: 1,
    };
    assert.deepEqual(shortFacts(connect({ ...mapped, type: "chat", content: "a" })), [
      "message.received",
      mapped.id,
      "5511900000001",
      "text",
      "a",
    ]);
    const { input } = connect({
      ...mapped,
      type: "image",
      content: "x",
      fileUrl: "https://s3.example/a.jpg",
      mimetype: "image/jpeg",
      size: "7",
    });
    assert.ok(input?.kind === "message");
    assert.deepEqual(input.media, {
      mimeType: "image/jpeg",
      bytes: 7,
      fileName: null,
      source: { url: "https://s3.example/a.jpg" },
    });
  });
});

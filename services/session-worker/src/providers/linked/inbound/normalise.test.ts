import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeWAMessage, proto } from "@whiskeysockets/baileys";
import type { StanzaPart } from "../stanzas.ts";
import { normalise, type Happened } from "./normalise.ts";

const AT = new Date("2026-11-21T10:00:00Z");
const ATTRS = {
  from: "15551@lid",
  sender_pn: "491700000001@s.whatsapp.net",
  id: "3A01",
  t: String(AT.getTime() / 1_000),
  notify: "Ann",
  type: "text",
};
const ANN = { phone: "491700000001", lid: "15551", name: "Ann" };
const { Type } = proto.Message.ProtocolMessage;

function part(attrs: Record<string, string> = {}, isOwn = false): StanzaPart {
  return { attrs: { ...ATTRS, ...attrs }, enc: { type: "msg", v: "2" }, isOwn };
}
function read(message: proto.IMessage, around: StanzaPart = part()): Happened[] {
  return normalise(around, encodeWAMessage(message), new Date(0));
}
function only(message: proto.IMessage, around?: StanzaPart): Happened {
  const [first, ...others] = read(message, around);
  assert.ok(first && others.length === 0, "one thing happened");
  return first;
}
const said = (message: proto.IMessage) => {
  const { what } = only(message);
  assert.ok(what.kind === "message", what.kind);
  return what;
};
const key = (id: string) => ({ id, remoteJid: "15551@lid", fromMe: true });
const file = {
  url: "http://media.example/1",
  mediaKey: Buffer.alloc(32, 1),
  fileSha256: Buffer.alloc(32, 2),
  fileEncSha256: Buffer.alloc(32, 3),
  fileLength: 1_234,
};
const source = (kind: string) => ({
  kind,
  url: "http://media.example/1",
  directPath: null,
  mediaKey: Buffer.alloc(32, 1).toString("base64"),
  fileEncSha256: Buffer.alloc(32, 3).toString("base64"),
});
const facts = {
  bytes: 1_234,
  sha256: Buffer.alloc(32, 2).toString("base64"),
  fileName: null,
};

describe("who and where", () => {
  it("a contact, named by either address", () => {
    const direct = { type: "direct", person: ANN };
    const hello = { conversation: "hello" };
    assert.deepEqual(only(hello).chat, direct);
    assert.deepEqual(only(hello).from, ANN);
    assert.deepEqual(only(hello).at, AT);
    assert.equal(only(hello).providerMessageId, "3A01");
    const byPhone = part({
      from: "491700000001:7@s.whatsapp.net",
      sender_pn: "",
      sender_lid: "15551@lid",
    });
    assert.deepEqual(only(hello, byPhone).chat, direct);
    const hidden = part({ sender_pn: "" });
    assert.deepEqual(only(hello, hidden).from, { phone: null, lid: "15551", name: "Ann" });
  });

  it("the number's own phone: the chat is whom it wrote to", () => {
    const own = part(
      {
        from: "777@lid",
        sender_pn: "",
        notify: "Shop",
        recipient: "15551@lid",
        peer_recipient_pn: "491700000001@s.whatsapp.net",
      },
      true,
    );
    const echo = only(
      { deviceSentMessage: { destinationJid: "15551@lid", message: { conversation: "from me" } } },
      own,
    );
    assert.equal(echo.from, "number");
    assert.deepEqual(echo.chat, { type: "direct", person: { ...ANN, name: null } });
    assert.ok(echo.what.kind === "message" && echo.what.text === "from me");
  });

  it("a group, with its author by either address", () => {
    const group = part({
      from: "120363@g.us",
      participant: "15551:3@lid",
      participant_pn: "491700000001@s.whatsapp.net",
      sender_pn: "",
    });
    const one = only({ conversation: "to all" }, group);
    assert.deepEqual(one.chat, { type: "group", groupId: "120363@g.us" });
    assert.deepEqual(one.from, ANN);
    const ours = part({ from: "120363@g.us", participant: "777@lid" }, true);
    assert.equal(only({ conversation: "from me" }, ours).from, "number");
  });

  it("a sender's list is a chat with the sender; status, channels and notices are none", () => {
    const list = part({ from: "1700000000@broadcast", participant: "15551@lid" });
    assert.deepEqual(only({ conversation: "offer" }, list).chat, { type: "direct", person: ANN });
    for (const from of ["status@broadcast", "123@newsletter", "0@s.whatsapp.net"]) {
      const elsewhere: StanzaPart = { ...part(), attrs: { from, id: "1", t: "1" } };
      assert.deepEqual(read({ conversation: "x" }, elsewhere), [], from);
    }
  });

  it("the time of arrival where WhatsApp gives none", () => {
    assert.deepEqual(only({ conversation: "x" }, part({ t: "" })).at, new Date(0));
  });
});

describe("what is said", () => {
  const plain = { kind: "message", text: null, media: null, quotes: null, content: {} };

  it("text, in all its envelopes", () => {
    const expected = { ...plain, type: "text", text: "hello" };
    const message = { conversation: "hello" };
    assert.deepEqual(said(message), expected);
    assert.deepEqual(said({ extendedTextMessage: { text: "hello" } }), expected);
    assert.deepEqual(said({ ephemeralMessage: { message } }), expected);
  });

  it("a reply, and what was forwarded", () => {
    const contextInfo = { stanzaId: "3A00", isForwarded: true };
    assert.deepEqual(said({ extendedTextMessage: { text: "yes", contextInfo } }), {
      ...plain,
      type: "text",
      text: "yes",
      quotes: "3A00",
      content: { isForwarded: true },
    });
  });

  it("a photo, with its caption", () => {
    const imageMessage = { ...file, mimetype: "image/jpeg", caption: "look", width: 4, height: 3 };
    assert.deepEqual(said({ imageMessage }), {
      ...plain,
      type: "image",
      text: "look",
      media: {
        facts: { ...facts, mimeType: "image/jpeg", width: 4, height: 3 },
        source: source("image"),
      },
    });
  });

  it("a video, a video note, a voice message, an audio file", () => {
    const video = { ...file, mimetype: "video/mp4", seconds: 9 };
    for (const message of [{ videoMessage: video }, { ptvMessage: video }]) {
      assert.deepEqual(said(message), {
        ...plain,
        type: "video",
        media: {
          facts: { ...facts, mimeType: "video/mp4", seconds: 9 },
          source: source("video"),
        },
      });
    }
    const audioMessage = { ...file, mimetype: "audio/ogg; codecs=opus", seconds: 3 };
    assert.equal(said({ audioMessage }).type, "audio");
    assert.equal(said({ audioMessage: { ...audioMessage, ptt: true } }).type, "voice");
  });

  it("a document, with or without a caption", () => {
    const documentMessage = { ...file, mimetype: "application/pdf", fileName: "bill.pdf" };
    const media = {
      facts: { ...facts, mimeType: "application/pdf", fileName: "bill.pdf" },
      source: source("document"),
    };
    assert.deepEqual(said({ documentMessage }), { ...plain, type: "document", media });
    const message = { documentMessage: { ...documentMessage, caption: "pay" } };
    const captioned = said({ documentWithCaptionMessage: { message } });
    assert.deepEqual(captioned, { ...plain, type: "document", text: "pay", media });
  });

  it("a sticker, still or moving", () => {
    const stickerMessage = { ...file, mimetype: "image/webp", isAnimated: true };
    const moving = said({ stickerMessage });
    assert.deepEqual([moving.type, moving.media?.facts.isAnimated], ["sticker", true]);
    const lottie = said({ lottieStickerMessage: { message: { stickerMessage } } });
    assert.equal(lottie.type, "sticker");
  });

  it("what is shown once: with its file, or without a key to it", () => {
    const message = { imageMessage: { ...file, mimetype: "image/jpeg" } };
    for (const name of ["viewOnceMessage", "viewOnceMessageV2"] as const) {
      const once = said({ [name]: { message } });
      assert.deepEqual([once.type, once.content.isViewOnce], ["image", true]);
      assert.ok(once.media);
    }
    const audioMessage = { ptt: true, viewOnce: true, mimetype: "audio/ogg" };
    const voice = said({ viewOnceMessageV2Extension: { message: { audioMessage } } });
    assert.deepEqual([voice.type, voice.media, voice.content.isViewOnce], ["voice", null, true]);
  });

  it("a place, and one that moves", () => {
    const locationMessage = {
      degreesLatitude: 52.5,
      degreesLongitude: 13.4,
      name: "Gate",
      address: "Pariser Platz",
    };
    assert.deepEqual(said({ locationMessage }).content.location, {
      latitude: 52.5,
      longitude: 13.4,
      name: "Gate",
      address: "Pariser Platz",
    });
    const live = said({
      liveLocationMessage: { degreesLatitude: 99, degreesLongitude: 13.4, caption: "on my way" },
    });
    assert.deepEqual([live.type, live.text], ["location", "on my way"]);
    assert.deepEqual(live.content.location, { latitude: 90, longitude: 13.4, isLive: true });
  });

  it("contact cards, one or several", () => {
    const vcard =
      "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bo B.\r\nitem1.TEL;type=CELL;waid=4917\r\n 12:+49 17 12\r\nTEL:030 / 123\r\nEND:VCARD";
    const card = { name: "Bo", phones: ["491712", "030123"], vcard };
    const one = said({ contactMessage: { displayName: "Bo", vcard } });
    assert.deepEqual([one.type, one.content.contacts], ["contact", [card]]);
    const two = said({
      contactsArrayMessage: { displayName: "2 contacts", contacts: [{ vcard }, {}] },
    });
    assert.deepEqual(two.content.contacts, [
      { ...card, name: "Bo B." },
      { name: "", phones: [] },
    ]);
  });

  it("a poll with its secret, and a vote with what is needed to read it", () => {
    const messageSecret = Buffer.alloc(32, 9);
    for (const name of ["pollCreationMessage", "pollCreationMessageV3"] as const) {
      const options = [{ optionName: "yes" }, { optionName: "no" }];
      const poll = said({
        [name]: { name: "Coming?", options, selectableOptionsCount: 1 },
        messageContextInfo: { messageSecret },
      });
      assert.deepEqual([poll.type, poll.text], ["poll", "Coming?"]);
      const expected = { name: "Coming?", options: ["yes", "no"], selectable: 1 };
      assert.deepEqual(poll.content.poll, expected);
      assert.deepEqual(poll.pollSecret, messageSecret);
    }
    const vote = { encPayload: Buffer.from("p"), encIv: Buffer.from("i") };
    const cast = said({ pollUpdateMessage: { pollCreationMessageKey: key("3A00"), vote } });
    assert.equal(cast.type, "poll_vote");
    assert.deepEqual(cast.content.pollVote, { providerMessageId: "3A00", options: null });
    const { remoteJid: creator } = key("3A00");
    const { encPayload: payload, encIv: iv } = vote;
    assert.deepEqual(cast.vote, { pollId: "3A00", creator, payload, iv });
  });

  it("what was chosen: buttons, templates, lists, flows", () => {
    const selection = { id: "row1", title: "Red" };
    const contextInfo = { stanzaId: "3A00" };
    const expected = (type: string) => ({
      ...plain,
      type,
      text: "Red",
      quotes: "3A00",
      content: { selection },
    });
    assert.deepEqual(
      said({
        buttonsResponseMessage: {
          selectedButtonId: "row1",
          selectedDisplayText: "Red",
          contextInfo,
        },
      }),
      expected("button_reply"),
    );
    assert.deepEqual(
      said({
        templateButtonReplyMessage: {
          selectedId: "row1",
          selectedDisplayText: "Red",
          contextInfo,
        },
      }),
      expected("button_reply"),
    );
    assert.deepEqual(
      said({
        listResponseMessage: {
          title: "Red",
          singleSelectReply: { selectedRowId: "row1" },
          contextInfo,
        },
      }),
      expected("list_reply"),
    );
    const flow = (name: string) => ({
      interactiveResponseMessage: {
        body: { text: "Red" },
        nativeFlowResponseMessage: { name, paramsJson: '{"id":"row1"}' },
        contextInfo,
      },
    });
    assert.deepEqual(said(flow("single_select")), expected("list_reply"));
    assert.deepEqual(said(flow("quick_reply")), expected("button_reply"));
  });

  it("what has no shape here, with its text; machinery is not told", () => {
    const order = said({ orderMessage: { message: "two of these" } });
    assert.deepEqual([order.type, order.text], ["unsupported", "two of these"]);
    assert.equal(said({ conversation: "" }).type, "unsupported");
    for (const silent of [
      {},
      { senderKeyDistributionMessage: { groupId: "1@g.us" } },
      { protocolMessage: { type: Type.EPHEMERAL_SETTING, ephemeralExpiration: 60 } },
      { pinInChatMessage: { key: key("3A00") } },
      { albumMessage: { expectedImageCount: 2 } },
    ]) {
      assert.deepEqual(read(silent), [], JSON.stringify(silent));
    }
  });

  it("bytes that are no message at all", () => {
    const [one] = normalise(part(), Buffer.from([0xff, 0xff, 1]), new Date(0));
    assert.ok(one?.what.kind === "message" && one.what.type === "unsupported");
  });
});

describe("changes to an earlier message", () => {
  it("a reaction, and one taken back", () => {
    const reaction = (text: string) =>
      only({ reactionMessage: { key: key("3A00"), text, senderTimestampMs: 1 } }).what;
    assert.deepEqual(reaction("👍"), { kind: "reaction", target: "3A00", emoji: "👍" });
    assert.deepEqual(reaction(""), { kind: "reaction", target: "3A00", emoji: null });
  });

  it("an edit of a text or a caption, wrapped or bare", () => {
    const protocolMessage = {
      type: Type.MESSAGE_EDIT,
      key: key("3A00"),
      editedMessage: { conversation: "better" },
    };
    const expected = { kind: "edited", target: "3A00", text: "better" };
    assert.deepEqual(only({ protocolMessage }).what, expected);
    const wrapped = only({ editedMessage: { message: { protocolMessage } } });
    assert.deepEqual(wrapped.what, expected);
    const captioned = {
      ...protocolMessage,
      editedMessage: { imageMessage: { caption: "better" } },
    };
    assert.deepEqual(only({ protocolMessage: captioned }).what, expected);
  });

  it("a deletion", () => {
    const protocolMessage = { type: Type.REVOKE, key: key("3A00") };
    assert.deepEqual(only({ protocolMessage }).what, { kind: "deleted", target: "3A00" });
    assert.deepEqual(only({ protocolMessage }, part({ edit: "8" })).what, {
      kind: "deleted",
      target: "3A00",
      isByAdmin: true,
    });
  });
});

describe("what cannot be read", () => {
  it("waits, unless nobody would miss it", () => {
    const lost = (enc: Record<string, string>) =>
      normalise({ ...part(), enc, missing: "undecryptable" }, undefined, new Date(0));
    assert.deepEqual(lost({ type: "msg" })[0]?.what, {
      kind: "waiting",
      reason: "undecryptable",
    });
    assert.deepEqual(lost({ type: "msg", "decrypt-fail": "hide" }), []);
  });

  it("comes from the phone later: the message under its own id, in its own chat", () => {
    const info = {
      key: { remoteJid: "15551@lid", id: "3AFF", fromMe: false },
      messageTimestamp: AT.getTime() / 1_000,
      pushName: "Ann",
      message: { conversation: "from an ad" },
    };
    const webMessageInfoBytes = proto.WebMessageInfo.encode(info).finish();
    const answer: proto.IMessage = {
      protocolMessage: {
        type: Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
        peerDataOperationRequestResponseMessage: {
          peerDataOperationResult: [{ placeholderMessageResendResponse: { webMessageInfoBytes } }],
        },
      },
    };
    const peer = { from: "777@lid", category: "peer", sender_pn: "" };
    const one = only(answer, part(peer, true));
    assert.equal(one.providerMessageId, "3AFF");
    assert.deepEqual(one.from, { phone: null, lid: "15551", name: "Ann" });
    assert.ok(one.what.kind === "message" && one.what.text === "from an ad");
    assert.deepEqual(read(answer, part(peer)), [], "nobody else may put messages into our mouth");
    assert.deepEqual(read(answer), [], "nor without being the phone");
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Send } from "@manyline/db";
import { graphMessage, UnwritableError } from "./contents.ts";

const HER = { phone: "15550100019", userId: "US.1", groupId: null };
const context = { messageId: "msg_0", providerMessageId: "wamid.0" };

function sent(send: object, mediaId?: string): Record<string, unknown> {
  const base = { messageId: "msg_1", text: null, content: null, ...HER };
  return graphMessage({ ...base, ...send } as unknown as Send, mediaId);
}

/** What only the kind has. */
function part(send: object, mediaId?: string): Record<string, unknown> {
  const { messaging_product, recipient_type, to, biz_opaque_callback_data, ...rest } = sent(
    send,
    mediaId,
  );
  assert.deepEqual(
    [messaging_product, recipient_type, to, biz_opaque_callback_data],
    ["whatsapp", "individual", "+15550100019", "msg_1"],
  );
  return rest;
}

test("each kind is written as Meta wants it", () => {
  const file = (type: string, more: object = {}) => part({ type, text: "look", ...more }, "77");
  assert.deepEqual(part({ type: "text", text: "hi" }), {
    type: "text",
    text: { body: "hi", preview_url: false },
  });
  assert.deepEqual(file("image"), { type: "image", image: { id: "77", caption: "look" } });
  assert.deepEqual(file("video"), { type: "video", video: { id: "77", caption: "look" } });
  assert.deepEqual(file("document", { content: { media: { fileName: "a.pdf" } } }), {
    type: "document",
    document: { id: "77", caption: "look", filename: "a.pdf" },
  });
  // These three have no caption at Meta.
  assert.deepEqual(file("audio"), { type: "audio", audio: { id: "77" } });
  assert.deepEqual(file("voice"), { type: "audio", audio: { id: "77", voice: true } });
  assert.deepEqual(file("sticker"), { type: "sticker", sticker: { id: "77" } });
  const location = { latitude: 52.5, longitude: 13.25, name: "here" };
  assert.deepEqual(part({ type: "location", content: { location } }), {
    type: "location",
    location,
  });
  const contacts = [{ name: "Bo", phones: ["+15550100020"] }];
  assert.deepEqual(part({ type: "contact", content: { contacts } }), {
    type: "contacts",
    contacts: [
      {
        name: { formatted_name: "Bo", first_name: "Bo" },
        phones: [{ phone: "+15550100020" }],
      },
    ],
  });
  const components = [{ type: "body", parameters: [{ type: "text", text: "x" }] }];
  const template = { name: "hello", language: "es_CL", components };
  assert.deepEqual(part({ type: "template", content: { template } }), {
    type: "template",
    template: { name: "hello", language: { code: "es_CL" }, components },
  });
});

test("buttons, lists, links and flows go as they were given", () => {
  for (const [type, action] of Object.entries({
    button: { buttons: [{ type: "reply", reply: { id: "a", title: "A" } }] },
    list: { button: "Choose", sections: [{ rows: [{ id: "a", title: "A" }] }] },
    cta_url: {
      name: "cta_url",
      parameters: { display_text: "Open", url: "https://example.com" },
    },
    flow: { name: "flow", parameters: { flow_id: "1", flow_cta: "Book" } },
  })) {
    const interactive = { type, body: { text: "x" }, action };
    assert.deepEqual(part({ type: "interactive", content: { interactive } }), {
      type: "interactive",
      interactive,
    });
  }
});

test("an answer names what it answers; a reaction is none", () => {
  const answer = part({ type: "text", text: "hi", content: { context } });
  assert.deepEqual(answer["context"], { message_id: "wamid.0" });
  const reaction = (emoji?: string) =>
    part({ type: "reaction", content: { context, ...(emoji ? { emoji } : {}) } });
  assert.deepEqual(reaction("👍"), {
    type: "reaction",
    reaction: { message_id: "wamid.0", emoji: "👍" },
  });
  assert.deepEqual(reaction()["reaction"], { message_id: "wamid.0", emoji: "" });
});

test("it goes to the phone, else to the id that Meta has for the person, else to the group", () => {
  const to = (who: object) => {
    const {
      recipient_type: kind,
      to: phone,
      recipient,
    } = sent({ type: "text", text: "x", ...who });
    return [kind, phone, recipient];
  };
  assert.deepEqual(to({}), ["individual", "+15550100019", undefined]);
  assert.deepEqual(to({ phone: null }), ["individual", undefined, "US.1"]);
  assert.deepEqual(to({ phone: null, userId: null, groupId: "g" }), ["group", "g", undefined]);
  assert.throws(() => to({ phone: null, userId: null }), UnwritableError);
});

test("what Meta has nothing like, or what lacks its content, is not sent", () => {
  for (const type of ["poll", "edit", "delete", "image", "template", "interactive", "location"]) {
    assert.throws(() => sent({ type }), UnwritableError, type);
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { normaliseMeta } from "./normalise.ts";
import { parseMetaBody } from "./json.ts";
import type { MetaInput, MetaItem } from "./types.ts";

const NOW = new Date("2026-11-21T12:00:00Z");
const METADATA = { display_phone_number: "+1 555 010 0001", phone_number_id: "900" };

function items(value: object, field = "messages", entry: object = {}): MetaItem[] {
  const change = { field, value: { metadata: METADATA, ...value } };
  const body = {
    object: "whatsapp_business_account",
    entry: [{ id: "800", changes: [change], ...entry }],
  };
  return normaliseMeta(JSON.parse(JSON.stringify(body)), NOW).items;
}

function message(body: object, contacts: object[] = []): MetaInput {
  const one = { from: "15550100019", id: "wamid.1", timestamp: "1763500009", ...body };
  const [first] = items({ messages: [one], contacts });
  assert.ok(first);
  return first.input;
}

describe("messages", () => {
  it("say who wrote, by phone, by business-scoped id, or both", () => {
    const contacts = [
      { wa_id: "15550100020", profile: { name: "Other" } },
      { wa_id: "15550100019", user_id: "US.1", profile: { name: "Ann", username: "@ann" } },
    ];
    const both = message({ type: "text", text: { body: "hi" } }, contacts);
    assert.ok(both.kind === "message");
    const ann = { phone: "15550100019", userId: "US.1", username: "@ann", name: "Ann" };
    assert.deepEqual(both.from, ann);
    assert.deepEqual(both.chat, { type: "direct", person: ann });
    assert.equal(both.at.toISOString(), "2025-11-18T21:06:49.000Z");

    const [only] = items({
      contacts: [{ user_id: "US.2", profile: { name: "Bo" } }],
      messages: [{ from_user_id: "US.2", id: "wamid.2", type: "text", text: { body: "x" } }],
    });
    assert.ok(only?.input.kind === "message");
    assert.deepEqual(only.input.from, { userId: "US.2", name: "Bo" });
    assert.equal(only.input.at, NOW);
  });
  it("never take the name of somebody whose id contradicts", () => {
    const one = message({ type: "text", text: { body: "hi" } }, [
      { wa_id: "15559999999", profile: { name: "Else" } },
    ]);
    assert.ok(one.kind === "message");
    assert.deepEqual(one.from, { phone: "15550100019" });
    const reused = message({ from_user_id: "US.1", type: "text", text: { body: "hi" } }, [
      { wa_id: "15550100019", user_id: "US.2", profile: { name: "Else" } },
    ]);
    assert.ok(reused.kind === "message");
    assert.deepEqual(reused.from, { phone: "15550100019", userId: "US.1" });
  });
  it("of several people give nobody the ids of the one contact that names none of them", () => {
    const contacts = [{ user_id: "ES.9", profile: { name: "Noa" } }];
    const told = (...from: string[]) => {
      const messages = from.map((one, place) => ({
        from: one,
        id: `wamid.${place}`,
        type: "text",
      }));
      return items({ contacts, messages }).map(({ input }) =>
        input.kind === "message" && input.from ? input.from : {},
      );
    };
    assert.deepEqual(told("15550100019"), [{ phone: "15550100019", userId: "ES.9", name: "Noa" }]);
    assert.deepEqual(told("15550100019", "15550100020"), [
      { phone: "15550100019" },
      { phone: "15550100020" },
    ]);
  });
  it("in a group belong to the group", () => {
    const one = message({ group_id: "G1", type: "text", text: { body: "hi" } });
    assert.ok(one.kind === "message");
    assert.deepEqual(one.chat, { type: "group", providerChatId: "G1" });
    assert.deepEqual(one.from, { phone: "15550100019" });
  });
  it("with a file say where it is, and voice from audio", () => {
    const one = message({
      type: "audio",
      audio: { id: 77, mime_type: "audio/ogg", voice: true, url: "https://x/1" },
    });
    assert.ok(one.kind === "message" && one.media);
    assert.equal(one.type, "voice");
    assert.deepEqual(JSON.parse(one.media.source), { id: "77", url: "https://x/1" });
  });
  it("keep what is chosen, filled in, ordered, advertised, referred to and forwarded", () => {
    const contentOf = (body: object) => {
      const one = message(body);
      assert.ok(one.kind === "message");
      return { type: one.type, text: one.text, ...one.content };
    };
    assert.deepEqual(contentOf({ type: "button", button: { payload: "yes", text: "Yes" } }), {
      type: "button_reply",
      text: "yes",
      selection: { id: "yes", title: "Yes" },
    });
    const reply = { name: "flow", body: "Sent", response_json: '{"flow_token":"t","a":[1]}' };
    const flow = contentOf({
      type: "interactive",
      interactive: { type: "nfm_reply", nfm_reply: reply },
    });
    assert.equal(flow.text, reply.response_json);
    assert.deepEqual(flow.flowReply, {
      name: "flow",
      body: "Sent",
      token: "t",
      response: { flow_token: "t", a: [1] },
    });
    const order = contentOf({
      type: "order",
      order: {
        catalog_id: 7,
        product_items: [
          { product_retailer_id: "p", quantity: 2, item_price: 9.5, currency: "EUR" },
        ],
      },
    });
    assert.deepEqual(order.order, {
      catalogId: "7",
      note: null,
      items: [{ productId: "p", quantity: "2", price: "9.5", currency: "EUR" }],
    });
    const advertised = contentOf({
      type: "text",
      text: { body: "hi" },
      context: {
        frequently_forwarded: true,
        referred_product: { catalog_id: "c", product_retailer_id: "p" },
      },
      referral: { source_url: "https://fb.me/1", source_type: "ad", ctwa_clid: "k" },
    });
    assert.equal(advertised.isForwarded, true);
    assert.deepEqual(advertised.product, { catalogId: "c", productId: "p" });
    assert.equal(advertised.referral?.clickId, "k");
    const odd = contentOf({ type: "hologram", hologram: { id: 1 } });
    assert.equal(odd.type, "unsupported");
    assert.match(JSON.stringify(odd.original), /"hologram":\{"id":1\}/);
  });
  it("that change others name them; what changes nothing is a message", () => {
    const reaction = message({ type: "reaction", reaction: { message_id: "wamid.0", emoji: "" } });
    assert.ok(reaction.kind === "reaction");
    assert.deepEqual([reaction.target, reaction.emoji], ["wamid.0", null]);
    const edit = message({
      type: "edit",
      edit: {
        original_message_id: "wamid.0",
        message: { type: "image", image: { id: "1", caption: "new" } },
      },
    });
    assert.ok(edit.kind === "edit");
    assert.equal(edit.text, "new");
    assert.equal(
      message({ type: "revoke", revoke: { original_message_id: "wamid.0" } }).kind,
      "delete",
    );
    assert.equal(message({ type: "revoke", revoke: {} }).kind, "message");
  });
  it("of WhatsApp's own tell that a person has another phone or id", () => {
    const [note, same] = items({
      messages: [
        {
          from: "15550100019",
          id: "wamid.1",
          type: "system",
          system: { type: "user_changed_number", body: "…", wa_id: "15550100077" },
        },
      ],
    });
    assert.ok(note?.input.kind === "message" && note.input.type === "system");
    assert.deepEqual(same?.input, {
      kind: "same_person",
      was: { phone: "15550100019" },
      is: { phone: "15550100077" },
    });
    assert.equal(same?.facts, null);
  });
  it("without an id, or of nobody, are told as notices", () => {
    for (const [body, event] of [
      [{ id: undefined, type: "text" }, "message_without_id"],
      [{ from: "", type: "text" }, "message_of_nobody"],
      [{ from: "\0", type: "text" }, "message_of_nobody"],
    ] as const) {
      const one = message(body);
      assert.ok(one.kind === "notice", event);
      assert.deepEqual([one.event, one.data.event], ["number.notified", event]);
    }
  });
});

describe("what is not live", () => {
  it("echoes are the number's own", () => {
    const echo = {
      from: "15550100001",
      to: "15550100019",
      id: "wamid.e",
      type: "text",
      text: { body: "x" },
    };
    const [one] = items({ message_echoes: [echo] }, "smb_message_echoes");
    assert.ok(one?.input.kind === "message");
    assert.deepEqual([one.input.event, one.input.from], ["echoed", null]);
    assert.deepEqual(one.input.chat, { type: "direct", person: { phone: "15550100019" } });
  });
  it("history is imported, in both directions, and told chunk by chunk", () => {
    const messages = [
      { from: "15550100019", id: "wamid.h1", timestamp: "1", type: "text", text: { body: "a" } },
      {
        from: "15550100001",
        to: "15550100019",
        id: "wamid.h2",
        timestamp: "2",
        type: "text",
        text: { body: "b" },
      },
      { from: "15550100001", id: "wamid.h3", timestamp: "3", type: "media_placeholder" },
      {
        from: "15550100019",
        id: "wamid.h4",
        type: "reaction",
        reaction: { message_id: "wamid.h2" },
      },
    ];
    const history = [{ metadata: { phase: 1 }, threads: [{ id: "15550100019", messages }] }];
    const [notice, ...old] = items({ history }, "history");
    assert.ok(notice?.input.kind === "notice" && notice.facts?.row === "change");
    assert.deepEqual(notice.input.data.details, {
      metadata: { phase: 1 },
      threads: 1,
      messages: 4,
      placeholders: [messages[2]],
    });
    const told = old.map(({ input }) =>
      input.kind === "message" ? [input.event, input.from !== null, input.type] : [],
    );
    assert.deepEqual(told, [
      ["imported", true, "text"],
      ["imported", false, "text"],
      // No reaction of today's.
      ["imported", true, "unsupported"],
    ]);
    const [media] = items({ messages: [messages[0]] }, "history");
    assert.ok(media?.input.kind === "message" && media.input.event === "imported");
  });
});

describe("statuses", () => {
  const status = (body: object, contacts: object[] = []): MetaInput => {
    const [one] = items({ statuses: [{ id: "wamid.s", timestamp: 5, ...body }], contacts });
    assert.ok(one);
    return one.input;
  };
  it("tell state, recipient, price, error and what was sent along", () => {
    const one = status({
      status: "failed",
      recipient_id: "15550100019",
      biz_opaque_callback_data: "msg_1",
      errors: [{ code: 131047, title: "Re-engagement", error_data: { details: "24 h" } }],
      pricing: { billable: true, pricing_model: "PMP", category: "utility" },
    });
    assert.ok(one.kind === "status");
    assert.deepEqual(one.error, { code: "131047", title: "Re-engagement", details: "24 h" });
    assert.deepEqual(one.recipient, { phone: "15550100019" });
    assert.equal(one.callbackData, "msg_1");
    assert.deepEqual(one.pricing, {
      isBillable: true,
      model: "PMP",
      kind: null,
      category: "utility",
    });
  });
  it("of payments, and words nobody knows, are told as they are", () => {
    for (const [body, event] of [
      [{ status: "failed", type: "payment" }, "payment:status:failed"],
      [{ status: "warning" }, "status:warning"],
      [{ id: null, status: "read" }, "status:read"],
    ] as const) {
      const one = status(body);
      assert.ok(one.kind === "notice");
      assert.equal(one.data.event, event);
    }
  });
  it("in a group name the participant, not the group", () => {
    const body = { status: "read", recipient_type: "group", recipient_id: "Y2Fw" };
    const of = (more: object): unknown => {
      const one = status({ ...body, ...more });
      return one.kind === "status" ? one.recipient : undefined;
    };
    assert.deepEqual(of({ recipient_participant_id: "15550100022" }), { phone: "15550100022" });
    assert.deepEqual(of({}), {});
  });
});

describe("other news", () => {
  it("goes to its own events, one for each element of a list", () => {
    const typesOf = (value: object, field: string): string[] =>
      items(value, field).map(({ input }) => (input.kind === "notice" ? input.event : input.kind));
    assert.deepEqual(typesOf({ event: "FLAGGED" }, "phone_number_quality_update"), [
      "number.quality_changed",
    ]);
    assert.deepEqual(typesOf({ event: "ONBOARDING" }, "phone_number_quality_update"), [
      "number.limit_changed",
    ]);
    assert.deepEqual(
      typesOf({ user_preferences: [{ wa_id: "1" }, { user_id: "US.1" }] }, "user_preferences"),
      ["contact.preference_changed", "contact.preference_changed"],
    );
    assert.deepEqual(
      typesOf(
        { user_id_update: [{ user_id: { previous: "US.1", current: "US.2" } }] },
        "user_id_update",
      ),
      ["same_person", "contact.changed"],
    );
    assert.deepEqual(typesOf({ calls: [{ event: "connect" }, { event: "terminate" }] }, "calls"), [
      "call.received",
      "call.changed",
    ]);
    const ringing = { id: "wacid.1", type: "call", status: "RINGING", recipient_id: "15550100019" };
    const [call] = items({ statuses: [ringing] }, "calls");
    assert.deepEqual(
      [call?.input.kind === "notice" && call.input.event, call?.facts?.row, call?.facts?.status],
      ["call.changed", "status", "RINGING"],
    );
    assert.deepEqual(typesOf({ calls: [] }, "calls"), ["number.notified"]);
    assert.deepEqual(typesOf({ event: "X" }, "tomorrow"), ["number.notified"]);
    assert.deepEqual(
      typesOf({ tomorrow: 1, statuses: [{ id: "w", status: "read" }] }, "messages"),
      ["status", "number.notified"],
    );
  });
  it("comes once for each time, and is the same when it is repeated", () => {
    const keyOf = (time: number, event: string): string => {
      const [one] = items({ event }, "account_update", { time });
      return one?.input.kind === "notice" ? one.input.key : "";
    };
    assert.equal(keyOf(1, "A"), keyOf(1, "A"));
    assert.notEqual(keyOf(1, "A"), keyOf(2, "A"));
    assert.notEqual(keyOf(1, "A"), keyOf(1, "B"));
  });
  it("that is too large for an event is told without its details", () => {
    const [one] = items({ event: "X", blob: "ü".repeat(150_000) }, "account_update");
    assert.ok(one?.input.kind === "notice");
    assert.equal(one.input.data.details, null);
    assert.equal(one.input.data.isTruncated, true);
  });
});

it("ids that are large numbers keep their digits", () => {
  const text =
    '{"entry":[{"id": 12345678901234567891, "changes":[{"field":"messages","value":{}}]}], "x": 1.5}';
  const { items: all, isWhatsapp } = normaliseMeta(parseMetaBody(text), NOW);
  assert.equal(all[0]?.route.wabaId, "12345678901234567891");
  assert.equal(isWhatsapp, false);
  assert.throws(() => parseMetaBody("{"), SyntaxError);
});

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  contactCreated,
  messageDeleted,
  messageEchoed,
  messageEdited,
  messageReaction,
  messageReceived,
  messageWaiting,
  type MessageData,
} from "@manyline/contracts";
import {
  dataOf,
  openLine,
  providerId,
  storedMessages,
  stranger,
  textFrom,
  types,
  type Line,
} from "./message-support.ts";
import { commitInbounds, type PersonInput } from "../src/index.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const stored = (line: Line) => storedMessages(world, line);

describe("a message from a stranger", () => {
  test("makes the person, the chat, the message and their events, once", async () => {
    const line = await openLine(world);
    const anna = stranger({ name: "Anna" });
    const item = textFrom(anna, { text: "Is Friday free?" });
    const { events, repeated } = await line.commit(item);
    assert.deepEqual(types(events), ["contact.created", "message.received"]);
    assert.equal(repeated, 0);
    const data = dataOf(events, messageReceived);
    const person = dataOf(events, contactCreated);
    assert.equal(data.from.contactId, person.contactId);
    assert.deepEqual(
      [data.from.phone, data.from.lid, data.from.name, data.text, data.type, data.provider],
      [anna.phone, anna.lid, "Anna", "Is Friday free?", "text", "linked"],
    );
    assert.deepEqual(
      { ...data.chat, id: "" },
      { id: "", type: "direct", contactId: person.contactId, phone: anna.phone, name: "Anna" },
    );
    assert.equal(events[1]?.envelope.seq, 1);
    const [row, ...more] = await stored(line);
    assert.equal(more.length, 0);
    assert.equal(row?.["message_id"], data.messageId);
    assert.deepEqual([row?.["state"], row?.["direction"], row?.["seq"]], ["received", "in", "1"]);

    const again = await line.commit(item, textFrom(anna));
    assert.equal(again.repeated, 1);
    assert.deepEqual(types(again.events), ["message.received"]);
    assert.equal(again.events[0]?.envelope.seq, 2);
    assert.equal((await stored(line)).length, 2);
  });

  test("twice in one batch, in two spellings of the sender, is one", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const id = providerId();
    const byLid = { lid: anna.lid };
    const { events, repeated } = await line.commit(
      textFrom(anna, { providerMessageId: id }),
      textFrom(byLid, { providerMessageId: id }),
    );
    assert.deepEqual(types(events), ["contact.created", "message.received"]);
    assert.equal(repeated, 1);
  });

  test("the same id from somebody else is another message", async () => {
    const line = await openLine(world);
    const id = providerId();
    const one = await line.commit(textFrom(stranger(), { providerMessageId: id }));
    const two = await line.commit(textFrom(stranger(), { providerMessageId: id }));
    assert.equal(one.repeated + two.repeated, 0);
    assert.equal((await stored(line)).length, 2);
  });

  test("ids, names, times and sizes that cannot be keep nobody's message from being stored", async () => {
    const line = await openLine(world);
    const anna = stranger({ name: "n".repeat(300_000) });
    const long = "X".repeat(10_000);
    const at = new Date(Number.NaN);
    const chat = { type: "direct", person: anna } as const;
    const media = { mimeType: "m", bytes: 1.5, sha256: null, fileName: "\0", source: Buffer.of(1) };
    const { events, repeated } = await line.commit(
      textFrom(anna, { providerMessageId: long, at, context: { providerMessageId: long } }),
      textFrom(anna, { at: new Date(8e15), type: "image", media }),
      textFrom(
        { lid: long, phone: long, username: long },
        { content: { poll: { name: "a\0\uD800", options: [], selectable: 0 } } },
      ),
      {
        kind: "reaction",
        target: long,
        providerMessageId: `2${long}`,
        chat,
        from: anna,
        at,
        emoji: long.repeat(50),
      },
      {
        kind: "edit",
        target: long,
        providerMessageId: `3${long}`,
        chat,
        from: anna,
        at,
        text: "e\0".repeat(200_000),
      },
    );
    assert.equal(repeated, 0);
    assert.deepEqual(
      types(events).filter((type) => type.startsWith("message.")),
      [
        "message.received",
        "message.received",
        "message.received",
        "message.reaction",
        "message.edited",
      ],
    );
    assert.equal((await stored(line)).length, 3);
  });

  test("texts that Postgres or the schema would refuse are told all the same", async () => {
    const line = await openLine(world);
    const anna = stranger({ name: "A\0nna \uD800" });
    const official = { phone: "0", name: "WhatsApp" };
    const { events } = await line.commit(
      textFrom(anna, { text: "zero \0 and half \uDFFF" }),
      textFrom(anna, { text: "я".repeat(200_000) }),
      textFrom(official),
      textFrom(anna, {
        type: "contact",
        content: { contacts: [{ name: "x", phones: [], vcard: "v".repeat(300_000) }] },
      }),
    );
    const [first, long, third, card] = events
      .filter(({ type }) => type === "message.received")
      .map(({ envelope }) => envelope.data as MessageData);
    assert.equal(first?.text, "zero  and half \uFFFD");
    assert.equal(first?.from.name, "Anna \uFFFD");
    assert.deepEqual([long?.text?.length, long?.isTruncated], [32_768, true]);
    assert.deepEqual([third?.from.phone, third?.from.name], [null, "WhatsApp"]);
    assert.deepEqual([card?.type, card?.isTruncated], ["unsupported", true]);
    const rows = await stored(line);
    assert.equal(String(rows[1]?.["text"]).length, 200_000);
    assert.equal(rows[3]?.["type"], "contact");
  });
});

describe("what follows a message", () => {
  test("one that was waiting becomes readable under its id; waiting never comes after", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const id = providerId();
    const waiting = textFrom(anna, {
      event: "waiting",
      providerMessageId: id,
      type: "unknown",
      text: null,
    });
    const received = textFrom(anna, { providerMessageId: id, text: "now" });
    const first = dataOf((await line.commit(waiting)).events, messageWaiting);
    const { events } = await line.commit(received);
    const second = dataOf(events, messageReceived);
    assert.equal(second.messageId, first.messageId);
    assert.equal(events[0]?.envelope.seq, 2);
    for (const late of [waiting, received]) assert.equal((await line.commit(late)).repeated, 1);
    const rows = await stored(line);
    assert.deepEqual(
      rows.map((row) => [row["state"], row["text"], row["type"]]),
      [["received", "now", "text"]],
    );
    // Both at once: only the readable one is told.
    const other = providerId();
    const both = await line.commit(
      { ...waiting, providerMessageId: other },
      { ...received, providerMessageId: other },
    );
    assert.deepEqual(types(both.events), ["message.received"]);
  });

  test("edits by the author, reactions, and deletion; each told once", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const message = textFrom(anna, { text: "Friday?" });
    const { messageId } = dataOf((await line.commit(message)).events, messageReceived);
    const target = message.providerMessageId;
    const change = { target, chat: message.chat, at: new Date("2026-11-21T10:16:00.000Z") };
    const edit = {
      ...change,
      kind: "edit" as const,
      providerMessageId: providerId(),
      from: anna,
      text: "Thursday?",
    };
    const edited = await line.commit(edit, { ...edit });
    assert.deepEqual(types(edited.events), ["message.edited"]);
    assert.equal(edited.repeated, 1);
    assert.equal(dataOf(edited.events, messageEdited).messageId, messageId);
    assert.deepEqual((await line.commit(edit)).events, []);
    const forged = { ...edit, providerMessageId: providerId(), from: null, text: "forged" };
    assert.deepEqual(await line.commit(forged), { events: [], repeated: 1, files: [] });

    const react = (emoji: string | null, from: typeof anna | null) =>
      line.commit({ ...change, kind: "reaction", providerMessageId: providerId(), from, emoji });
    await react("👍", anna);
    const mine = await react("❤", null);
    assert.equal(mine.events[0]?.envelope.seq, 4);
    await react(null, anna);
    let [row] = await stored(line);
    assert.deepEqual(row?.["reactions"], { me: "❤" });
    assert.equal(row?.["text"], "Thursday?");

    const deleted = await line.commit({
      ...change,
      kind: "delete",
      providerMessageId: providerId(),
      from: anna,
    });
    assert.equal(dataOf(deleted.events, messageDeleted).messageId, messageId);
    [row] = await stored(line);
    assert.deepEqual([row?.["text"], row?.["reactions"]], [null, null]);

    const unknown = await line.commit({
      ...change,
      kind: "reaction",
      providerMessageId: providerId(),
      target: providerId(),
      from: anna,
      emoji: "?",
    });
    assert.equal(dataOf(unknown.events, messageReaction).messageId, null);
    // Of a message of another chat nothing is told.
    const bob = stranger();
    const elsewhere = await line.commit({
      ...change,
      kind: "reaction",
      chat: { type: "direct", person: bob },
      providerMessageId: providerId(),
      from: bob,
      emoji: "!",
    });
    assert.equal(dataOf(elsewhere.events, messageReaction).messageId, null);
  });

  test("of a message of the same batch reach it: answers, edits, reactions, deletions; not from somebody else", async () => {
    const [line, other] = [await openLine(world), await openLine(world)];
    const [anna, bob] = [stranger(), stranger()];
    const chat = { type: "group", providerChatId: `${providerId()}@g.us`, name: null } as const;
    const file = { mimeType: "image/png", bytes: 3, sha256: null, fileName: null };
    const [kept, gone] = [
      textFrom(anna, { chat, text: "Friday?" }),
      textFrom(anna, { chat, media: { ...file, source: Buffer.from("where") } }),
    ];
    const change = (target: string, from: typeof anna) => {
      return { target, chat, from, providerMessageId: providerId(), at: kept.at };
    };
    const edit = (target: string, from: typeof anna, text: string) => {
      return { ...change(target, from), kind: "edit" as const, text };
    };
    const [first, second] = [kept.providerMessageId, gone.providerMessageId];
    const items = [
      kept,
      { ...kept },
      edit(first, bob, "forged"),
      textFrom(bob, { chat, context: { providerMessageId: first } }),
      gone,
      edit(first, anna, "Thursday?"),
      { ...change(first, bob), kind: "reaction" as const, emoji: "👍" },
      { ...change(second, anna), kind: "delete" as const },
    ];
    const commits = [line, other].map(({ source }) => ({ source, items }));
    const results = await commitInbounds(world.worker, world.test.keyring, commits);
    for (const [place, at] of [line, other].entries()) {
      const result = results[place];
      assert.ok(result && !(result instanceof Error));
      assert.equal(result.repeated, 2);
      const messages = await stored(at);
      assert.deepEqual(
        messages.map(({ text }) => text),
        ["Thursday?", "Good morning", null],
      );
      const [friday, answer, deleted] = messages.map(({ message_id: id }) => id);
      assert.deepEqual(Object.values(messages[0]?.["reactions"] ?? {}), ["👍"]);
      assert.deepEqual(messages[1]?.content, {
        context: { providerMessageId: first, messageId: friday },
      });
      const told = result.events.filter(({ type }) => type.startsWith("message."));
      assert.deepEqual(
        told.map(({ envelope }) => [envelope.seq, Object(envelope.data).messageId]),
        [friday, answer, deleted, friday, friday, deleted].map((id, index) => [index + 1, id]),
      );
      const media = await world.superuser.query<{ state: string; source: Buffer | null }>(
        "select state, source from media where number_no = $1",
        [at.source.fence.numberNo],
      );
      assert.deepEqual(media.rows, [{ state: "gone", source: null }]);
    }
  });

  test("an answer names what it answers, also across the batch's past; echoes are the number's", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const question = textFrom(anna);
    const first = dataOf((await line.commit(question)).events, messageReceived);
    const { events } = await line.commit(
      textFrom(anna, {
        event: "echoed",
        from: null,
        context: { providerMessageId: question.providerMessageId },
      }),
    );
    const echo = dataOf(events, messageEchoed);
    assert.deepEqual(echo.context, {
      providerMessageId: question.providerMessageId,
      messageId: first.messageId,
    });
    assert.deepEqual([echo.from.contactId, echo.from.phone], [null, "79001234567"]);
    assert.equal(echo.chat.id, first.chat.id);
    const [, row] = await stored(line);
    assert.deepEqual([row?.["direction"], row?.["contact_no"]], ["echo", null]);
    assert.deepEqual(row?.content, { context: echo.context });
  });

  test("a file is told by its id; where it lies and its key are sealed", async () => {
    const line = await openLine(world);
    const { events } = await line.commit(
      textFrom(stranger(), {
        type: "image",
        text: "Like this",
        media: {
          mimeType: "image/jpeg",
          bytes: 48_211,
          sha256: "abc=",
          fileName: null,
          width: 10,
          height: 20,
          source: Buffer.from("SECRET key"),
        },
      }),
    );
    const { media, messageId } = dataOf(events, messageReceived);
    assert.deepEqual(
      { ...media, id: "" },
      {
        id: "",
        mimeType: "image/jpeg",
        bytes: 48_211,
        sha256: "abc=",
        fileName: null,
        width: 10,
        height: 20,
      },
    );
    const { rows } = await world.superuser.query<{ message_id: string; source: Buffer }>(
      "select message_id, source from media where media_id = $1",
      [media?.id],
    );
    assert.equal(rows[0]?.message_id, messageId);
    assert.equal(rows[0]?.source.includes("SECRET"), false);
  });
});

test("groups: one chat, its members as senders, its name as last heard; an admin may delete", async () => {
  const line = await openLine(world);
  const [anna, bob] = [stranger(), stranger()];
  const chat = { type: "group" as const, providerChatId: "120363000000000000@g.us", name: "Team" };
  const first = textFrom(anna, { chat });
  const { events } = await line.commit(first, textFrom(bob, { chat: { ...chat, name: null } }));
  const messages = events.filter(({ type }) => type === "message.received");
  assert.deepEqual(
    messages.map(({ envelope }) => envelope.seq),
    [1, 2],
  );
  const [one, two] = messages.map(({ envelope }) => envelope.data as MessageData);
  assert.deepEqual([one?.chat.type, one?.chat.contactId, one?.chat.name], ["group", null, "Team"]);
  assert.equal(one?.chat.id, two?.chat.id);
  const renamed = await line.commit(textFrom(bob, { chat: { ...chat, name: "Team 2" } }));
  assert.equal(dataOf(renamed.events, messageReceived).chat.name, "Team 2");
  const deletion = (from: PersonInput, isByAdmin?: true) =>
    line.commit({
      kind: "delete",
      target: first.providerMessageId,
      providerMessageId: providerId(),
      chat,
      from,
      at: new Date(),
      ...(isByAdmin ? { isByAdmin } : {}),
    });
  assert.deepEqual(types((await deletion(bob)).events), [], "any member might, else");
  const [kept] = await stored(line);
  assert.deepEqual([kept?.["text"], kept?.["deleted_at"]], [first.text, null]);
  assert.deepEqual(types((await deletion(bob, true)).events), ["message.deleted"]);
  assert.deepEqual(types((await deletion(anna)).events), ["message.deleted"]);
});

/** Reading messages, chats and people; what is asked of the owner; what streams tell. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EVENTS_STREAM, streamSubjects } from "@manyline/contracts";
import { createToken, inTransaction } from "@manyline/db";
import { ask, openLine, stranger, textFrom } from "./conversations.ts";
import type { Line } from "./conversations.ts";
import { Owner } from "./owner.ts";
import { SseReader } from "./sse-reader.ts";
import { addNumber, openPage, openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

let world: World;
let owner: Owner;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
  // What a worker does at its start: with it the gateway's own events wake the streams.
  await world.deps.bus.ensureStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: 60_000,
    maxBytes: 10_000_000,
    replicas: 1,
  });
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Body = Record<string, unknown>;
const listOf = ({ body }: Answer, name: string): Body[] => body[name] as Body[];
const assertProblem = ({ status, body }: Answer, expected: number, code: string): void =>
  assert.deepEqual([status, body["code"]], [expected, code], JSON.stringify(body));

/** Every page of a list, until its end. */
async function pages(line: Line, path: string, name: string): Promise<Body[][]> {
  const found: Body[][] = [];
  const mark = path.includes("?") ? "&" : "?";
  for (let next = ""; found.length < 20;) {
    const cursor = next === "" ? "" : `${mark}before=${next}`;
    const answer = await ask(world, line, "GET", `${path}${cursor}`);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    found.push(listOf(answer, name));
    if (typeof answer.body["next"] !== "string") break;
    next = answer.body["next"];
  }
  return found;
}

describe("lists", () => {
  test("messages of a number, of a chat, of a person: page by page, the newest first", async () => {
    const line = await openLine(world, owner);
    const [anna, boris] = [stranger("Anna"), stranger("Boris")];
    const texts = Array.from({ length: 5 }, (_, index) => `anna ${index}`);
    await owner.receive(line.numberNo, ...texts.map((text) => textFrom(anna, { text })));
    await owner.receive(line.numberNo, textFrom(boris, { text: "boris" }));
    await ask(world, line, "POST", "/messages", {
      body: { to: anna.phone, type: "text", text: "to anna" },
    });
    const expected = ["to anna", ...texts.toReversed()];
    const all = await pages(line, "/messages?limit=3", "messages");
    assert.deepEqual(
      all.map((page) => page.length),
      [3, 3, 1],
    );
    assert.deepEqual(
      all.flat().map(({ text }) => text),
      ["to anna", "boris", ...texts.toReversed()],
    );
    const [first] = all.flat();
    const chat = record(first?.["chat"]);
    for (const filter of [`chat=${String(chat["id"])}`, `contact=${String(chat["contactId"])}`]) {
      const own = await pages(line, `/messages?limit=4&${filter}`, "messages");
      assert.deepEqual(
        own.map((page) => page.map(({ text }) => text)),
        [expected.slice(0, 4), expected.slice(4)],
        filter,
      );
    }
  });

  test("chats, the one that was last written in first; people, found by name and phone", async () => {
    const line = await openLine(world, owner);
    const [anna, boris] = [stranger("Anna Karenina"), stranger("Boris")];
    const at = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);
    await owner.receive(line.numberNo, textFrom(anna, { at: at(3) }));
    await owner.receive(line.numberNo, textFrom(boris, { at: at(2) }));
    await owner.receive(line.numberNo, textFrom(anna, { at: at(1) }));
    const chats = await pages(line, "/chats?limit=1", "chats");
    assert.deepEqual(
      chats.flat().map(({ phone }) => phone),
      [anna.phone, boris.phone],
    );
    assert.equal(chats[0]?.[0]?.["seq"], 2);

    const people = (await pages(line, "/contacts?limit=2", "contacts")).flat();
    assert.equal(people.length, 3, "with the one whom openLine made");
    assert.deepEqual(
      people.slice(0, 2).map(({ name }) => name),
      ["Boris", "Anna Karenina"],
    );
    for (const search of ["karen", anna.phone.slice(-6), `%2B${anna.phone}`]) {
      const found = await ask(world, line, "GET", `/contacts?search=${search}`);
      assert.deepEqual(
        listOf(found, "contacts").map(({ name }) => name),
        ["Anna Karenina"],
        search,
      );
    }
    const one = await ask(world, line, "GET", `/contacts/${String(people[1]?.["id"])}`);
    assert.deepEqual(record(one.body["contact"])["phone"], anna.phone);
  });

  test("nothing of another company or number, and no nonsense", async () => {
    const [line, other] = [await openLine(world, owner), await openLine(world, owner)];
    const anna = stranger();
    await owner.receive(line.numberNo, textFrom(anna));
    const [message] = (await pages(line, "/messages", "messages")).flat();
    const chat = record(message?.["chat"]);
    const id = String(message?.["messageId"]);
    const contact = String(chat["contactId"]);
    assertProblem(await ask(world, other, "GET", `/messages/${id}`), 404, "MESSAGE_NOT_FOUND");
    assertProblem(await ask(world, other, "GET", `/contacts/${contact}`), 404, "CONTACT_NOT_FOUND");
    assertProblem(
      await ask(world, other, "GET", `/messages?chat=${String(chat["id"])}`),
      404,
      "CHAT_NOT_FOUND",
    );
    assertProblem(
      await ask(world, other, "GET", `/messages?contact=${contact}`),
      404,
      "CONTACT_NOT_FOUND",
    );
    assert.deepEqual((await pages(other, "/messages", "messages")).flat(), []);
    const second = await addNumber(world, line.company);
    assert.deepEqual((await pages(line, `/messages?number=${second}`, "messages")).flat(), []);
    assertProblem(
      await ask(world, line, "GET", `/messages?number=${second}&chat=${String(chat["id"])}`),
      404,
      "CHAT_NOT_FOUND",
    );
    for (const path of [
      "/messages?before=x",
      "/messages?limit=0",
      "/contacts?before=x",
      "/contacts?search=",
      "/messages?sort=asc",
      `/messages?chat=${String(chat["id"])}&contact=${contact}`,
    ]) {
      assertProblem(await ask(world, line, "GET", path), 400, "INVALID_REQUEST");
    }
    assertProblem(await ask(world, line, "GET", "/messages/msg_1"), 404, "MESSAGE_NOT_FOUND");
  });

  test("a token for one number reads that one's messages and no people", async () => {
    const line = await openLine(world, owner);
    await owner.receive(line.numberNo, textFrom(stranger()));
    const [message] = (await pages(line, "/messages", "messages")).flat();
    const second = await addNumber(world, line.company);
    const bound = async (numberNo: number): Promise<string> => {
      const { companyNo } = await owner.number(line.numberNo);
      const token = await inTransaction(world.deps.platformDb, (tx) =>
        createToken(tx, { companyNo, numberNo, name: "bound", scopes: ["read"], kind: "api" }),
      );
      return token.secret;
    };
    const { numberNo } = await world.deps.platformDb
      .selectFrom("numbers")
      .select("numberNo")
      .where("numberId", "=", second)
      .executeTakeFirstOrThrow();
    const [own, others] = [await bound(line.numberNo), await bound(numberNo)];
    const path = `/messages/${String(message?.["messageId"])}`;
    assert.equal((await ask(world, line, "GET", path, { token: own })).status, 200);
    assertProblem(await ask(world, line, "GET", path, { token: others }), 404, "MESSAGE_NOT_FOUND");
    assertProblem(await ask(world, line, "GET", "/contacts", { token: own }), 403, "FORBIDDEN");
  });
});

describe("what the owner does at once", () => {
  test("check: in the order asked, each phone once, what is none without asking", async () => {
    const line = await openLine(world, owner);
    owner.handler = ({ verb, args }) => {
      if (verb !== "check_phones") return { state: "failed", error: { code: "INTERNAL" } };
      const phones = args["phones"] as string[];
      const results = phones.map((phone) => ({
        phone,
        isOnWhatsapp: phone.endsWith("1"),
        lid: phone.endsWith("1") ? `18${phone}` : null,
      }));
      return { state: "done", result: { results } };
    };
    const countBefore = owner.commands.length;
    const phones = ["8 900 111-22-31", "nonsense", "+79001112232", "79001112231"];
    const answer = await ask(world, line, "POST", "/check", { body: { phones } });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const yes = { phone: "79001112231", isOnWhatsapp: true, lid: "1879001112231" };
    assert.deepEqual(answer.body["results"], [
      { given: phones[0], ...yes },
      { given: phones[1], phone: null, isOnWhatsapp: false, lid: null },
      { given: phones[2], phone: "79001112232", isOnWhatsapp: false, lid: null },
      { given: phones[3], ...yes },
    ]);
    assert.deepEqual(
      owner.commands.slice(countBefore).map(({ args, queue }) => [args["phones"], queue]),
      [[["79001112231", "79001112232"], "check"]],
    );
    const none = await ask(world, line, "POST", "/check", { body: { phones: ["x"] } });
    assert.deepEqual([none.status, owner.commands.length], [200, countBefore + 1]);
    for (const body of [{}, { phones: [] }, { phones: Array.from({ length: 51 }, () => "1") }]) {
      const wrong = await ask(world, line, "POST", "/check", { body });
      assertProblem(wrong, 400, "INVALID_REQUEST");
    }
  });

  test("a number that is not connected says so", async () => {
    const line = await openLine(world, owner);
    owner.handler = () => ({ state: "failed", error: { code: "NOT_CONNECTED" } });
    const body = { phones: ["+79001112232"] };
    assertProblem(await ask(world, line, "POST", "/check", { body }), 409, "NOT_CONNECTED");
  });

  test("read and typing: the owner is told WhatsApp's names, and nothing is stored", async () => {
    const line = await openLine(world, owner);
    const anna = stranger();
    owner.handler = () => ({ state: "done", result: {} });
    const items = [textFrom(anna), textFrom(anna)];
    await owner.receive(line.numberNo, ...items);
    const [second, first] = (await pages(line, "/messages", "messages")).flat();
    const messageIds = [first?.["messageId"], second?.["messageId"]];
    const chat = record(first?.["chat"]);
    for (const body of [
      { type: "read", messageIds },
      { type: "typing", to: chat["id"], state: "typing" },
      { type: "typing", to: "120363041234567890@g.us", state: "paused" },
    ]) {
      const answer = await ask(world, line, "POST", "/messages", { body });
      assert.deepEqual([answer.status, answer.body], [200, { success: true }]);
    }
    const own = owner.commands.filter(({ numberNo }) => numberNo === line.numberNo);
    const person = { phone: anna.phone, lid: anna.lid };
    const address = { ...person, groupId: null };
    const keys = items.map(({ providerMessageId }) => ({
      providerMessageId,
      phone: anna.phone,
      lid: anna.lid,
    }));
    assert.deepEqual(
      own.map(({ verb, args }) => [verb, args]),
      [
        ["mark_read", { chat: address, messages: keys }],
        ["show_typing", { chat: address, state: "typing" }],
        [
          "show_typing",
          { chat: { phone: null, lid: null, groupId: "120363041234567890@g.us" }, state: "paused" },
        ],
      ],
    );
    const boris = stranger();
    await owner.receive(line.numberNo, textFrom(boris));
    const [elsewhere] = (await pages(line, "/messages?limit=1", "messages")).flat();
    const sent = await ask(world, line, "POST", "/messages", {
      body: { to: anna.phone, type: "text", text: "a" },
    });
    for (const [wrong, code] of [
      [
        { type: "read", messageIds: [first?.["messageId"], elsewhere?.["messageId"]] },
        "MESSAGE_NOT_FOUND",
      ],
      [{ type: "read", messageIds: [sent.body["messageId"]] }, "MESSAGE_NOT_FOUND"],
      [{ type: "typing", to: `cht_${"0".repeat(32)}`, state: "typing" }, "CHAT_NOT_FOUND"],
      [{ type: "typing", to: `con_${"0".repeat(32)}`, state: "typing" }, "CONTACT_NOT_FOUND"],
    ] as const) {
      assertProblem(await ask(world, line, "POST", "/messages", { body: wrong }), 404, code);
    }
  });
});

describe("streams", () => {
  test("with scope read: what comes, what is queued, what becomes of it, in their envelopes", async () => {
    const line = await openLine(world, owner);
    const { company, numberNo } = line;
    const url = `${world.url}/api/whatsapp/sessions/${company.id}/events`;
    await using reader = await SseReader.open(url, { token: company.token });
    await using page = await SseReader.open(url, { cookie: await openPage(world, company) });
    await Promise.all([reader.next("snapshot"), page.next("snapshot")]);
    const anna = stranger();
    await owner.receive(numberNo, textFrom(anna, { text: "Is Friday free?" }));
    const received = await reader.next("message.received");
    assert.equal(record(received.data["data"])["text"], "Is Friday free?");
    assert.deepEqual([received.data["seq"], received.data["companyid"]], [1, company.id]);
    assert.equal(received.data["numberid"], line.numberId);

    const answer = await ask(world, line, "POST", "/messages", {
      body: { to: anna.phone, type: "text", text: "Yes" },
    });
    const startedAt = performance.now();
    const queued = await reader.next("message.queued");
    assert.ok(performance.now() - startedAt < 1_000, "the bus wakes it, not a poll");
    const { messageId } = answer.body;
    assert.deepEqual(
      [queued.data["seq"], record(queued.data["data"])["messageId"]],
      [2, messageId],
    );
    await owner.claim(numberNo);
    const at = new Date();
    await owner.note(numberNo, { messageId: String(messageId), state: "sent", at });
    await owner.note(numberNo, { messageId: String(messageId), state: "read", at });
    const read = await reader.next("message.read");
    assert.deepEqual([read.data["seq"], record(read.data["data"])["messageId"]], [4, messageId]);
    assert.deepEqual(
      reader.events().filter((event) => event.startsWith("message.")),
      ["message.received", "message.queued", "message.sent", "message.read"],
    );
    assert.ok(reader.events().includes("contact.created"));
    assert.deepEqual(page.events(), ["snapshot"], "a pairing page sees no messages");
  });
});

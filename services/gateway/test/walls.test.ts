/** What one company holds, named with the token of another: it answers as if there were no such thing anywhere. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { until } from "@manyline/testkit";
import { ask, openLine, stranger, textFrom } from "./conversations.ts";
import type { Line } from "./conversations.ts";
import { Owner } from "./owner.ts";
import { SseReader } from "./sse-reader.ts";
import { ADMIN_TOKEN, call, openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

type Body = Record<string, unknown>;
/** Ids by kind, such as `msg`. */
type Ids = Record<"msg" | "cht" | "con" | "med" | "num", string>;

const OGG = Buffer.concat([Buffer.from("OggS"), Buffer.alloc(100)]);

let world: World;
let owner: Owner;
/** Who asks, and whose things are asked for. */
let one: Line;
let other: Line;
let theirs: Ids;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start(() => ({ state: "done", result: {} }));
  [one, other] = [await openLine(world, owner), await openLine(world, owner)];
  theirs = await furnished(other);
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

/** A message, its chat and person, and a file. */
async function furnished(line: Line): Promise<Ids> {
  const person = stranger();
  await owner.receive(line.numberNo, textFrom(person, { text: "a secret" }));
  const { body } = await ask(world, line, "GET", "/messages?limit=1");
  const message = record((body["messages"] as Body[])[0]);
  const chat = record(message["chat"]);
  const upload = await fetch(`${world.url}/api/whatsapp/sessions/${line.company.id}/media`, {
    method: "POST",
    headers: { authorization: `Bearer ${line.company.token}`, "content-type": "audio/ogg" },
    body: new Uint8Array(OGG),
  });
  const { mediaId } = record(await upload.json());
  return {
    msg: String(message["messageId"]),
    cht: String(chat["id"]),
    con: String(chat["contactId"]),
    med: String(mediaId),
    num: line.numberId,
  };
}

const nobodys = (): Ids =>
  Object.fromEntries(
    ["msg", "cht", "con", "med", "num"].map((kind) => [
      kind,
      `${kind}_${randomBytes(16).toString("hex")}`,
    ]),
  ) as Ids;

type Ask = readonly [method: string, path: (ids: Ids) => string, body?: (ids: Ids) => Body];

const to = "+79007654321";
const messages = "/messages";
const ASKED: readonly Ask[] = [
  ["GET", ({ msg }) => `/messages/${msg}`],
  ["GET", ({ cht }) => `/messages?chat=${cht}`],
  ["GET", ({ con }) => `/messages?contact=${con}`],
  ["GET", ({ num }) => `/messages?number=${num}`],
  ["GET", ({ num }) => `/chats?number=${num}`],
  ["GET", ({ con }) => `/contacts/${con}`],
  ["GET", ({ med }) => `/media/${med}`],
  ["GET", ({ num }) => `/events?number=${num}`],
  ["GET", ({ num }) => `/status?number=${num}`],
  ["GET", ({ num }) => `/qr?number=${num}`],
  ["POST", ({ num }) => `/media?number=${num}`, () => ({ a: 1 })],
  ["POST", ({ num }) => `/cleanup?number=${num}`],
  ["POST", ({ num }) => `/reconnect?number=${num}`],
  ["POST", ({ num }) => `/check?number=${num}`, () => ({ phones: [to] })],
  ["POST", ({ num }) => `/messages?number=${num}`, () => ({ to, type: "text", text: "x" })],
  ["POST", () => messages, ({ cht }) => ({ to: cht, type: "text", text: "x" })],
  ["POST", () => messages, ({ con }) => ({ to: con, type: "text", text: "x" })],
  ["POST", () => messages, ({ msg }) => ({ to, type: "text", text: "x", replyTo: msg })],
  ["POST", () => messages, ({ med }) => ({ to, type: "audio", mediaId: med })],
  ["POST", () => messages, ({ msg }) => ({ type: "reaction", messageId: msg, emoji: "👍" })],
  ["POST", () => messages, ({ msg }) => ({ type: "edit", messageId: msg, text: "x" })],
  ["POST", () => messages, ({ msg }) => ({ type: "delete", messageId: msg })],
  ["POST", () => messages, ({ msg }) => ({ type: "read", messageIds: [msg] })],
  ["POST", () => messages, ({ cht }) => ({ type: "typing", to: cht, state: "typing" })],
  ["POST", () => messages, ({ con }) => ({ type: "typing", to: con, state: "typing" })],
  ["GET", ({ num }) => `/../../companies/OWN/numbers/${num}`],
  ["PATCH", ({ num }) => `/../../companies/OWN/numbers/${num}`, () => ({ name: "x" })],
  ["DELETE", ({ num }) => `/../../companies/OWN/numbers/${num}`],
];

/** Without what differs by itself: the request's own id, and the id that was asked for. */
function comparable({ status, body }: Answer, ids: Ids): unknown {
  const { requestId: _ofThisRequest, ...rest } = body;
  let text = JSON.stringify(rest);
  for (const [kind, id] of Object.entries(ids)) text = text.replaceAll(id, `<${kind}>`);
  return [status, text];
}

describe("an id of another company", () => {
  for (const [method, path, body] of ASKED) {
    const shown = nobodys();
    const what = JSON.stringify(body?.(shown) ?? {}).replaceAll(/_[0-9a-f]{32}/g, "_…");
    test(`${method} ${path(shown).replaceAll(/_[0-9a-f]{32}/g, "_…")} ${what}`, async () => {
      const asked = async (ids: Ids): Promise<Answer> =>
        ask(
          world,
          one,
          method,
          path(ids).replace("OWN", one.company.id),
          body ? { body: body(ids) } : {},
        );
      const unknown = nobodys();
      const [seen, nothing] = [await asked(theirs), await asked(unknown)];
      assert.equal(seen.status, 404, JSON.stringify(seen.body));
      assert.deepEqual(comparable(seen, theirs), comparable(nothing, unknown));
    });
  }

  test("as a cursor leads to nobody else's things", async () => {
    const own = await furnished(one);
    const { body } = await ask(world, other, "GET", "/chats?limit=1");
    const [chat] = body["chats"] as Body[];
    assert.equal(chat?.["id"], theirs.cht);
    const at = BigInt(Date.parse(String(chat?.["lastMessageAt"]))) * 1_000n;
    for (const [path, list, mine] of [
      [`/messages?before=${theirs.msg}`, "messages", own.msg],
      [`/contacts?before=${theirs.con}`, "contacts", own.con],
      [`/chats?before=${at}.${theirs.cht}`, "chats", own.cht],
      [`/chats?before=99999999999999999.${theirs.cht}`, "chats", own.cht],
    ] as const) {
      const page = await ask(world, one, "GET", path);
      assert.equal(page.status, 200);
      const found = (page.body[list] as Body[]).map((row) => row["messageId"] ?? row["id"]);
      const foreign = found.filter(
        (id) => id === theirs.msg || id === theirs.cht || id === theirs.con,
      );
      assert.deepEqual(foreign, [], path);
      assert.ok(found.length === 0 || found.includes(mine), path);
      assert.ok(!JSON.stringify(page.body).includes(theirs.num), path);
    }
  });
});

describe("a stream of events", () => {
  const listen = (line: Line, query = "", headers = {}): Promise<SseReader> =>
    SseReader.open(`${world.url}/api/whatsapp/sessions/${line.company.id}/events${query}`, {
      token: line.company.token,
      headers,
    });

  test("from an event of another company on: it is unknown, and nothing of theirs follows", async () => {
    const { eventId } = await owner
      .receive(other.numberNo, textFrom(stranger()))
      .then((events) => ({
        eventId: String(events.at(-1)?.eventId),
      }));
    await owner.receive(other.numberNo, textFrom(stranger()));
    await using byHeader = await listen(one, "", { "last-event-id": eventId });
    await using byQuery = await listen(one, `?lastEventId=${eventId}`);
    await using since = await listen(one, "?since=2026-01-01T00:00:00Z");
    for (const reader of [byHeader, byQuery]) {
      assert.deepEqual((await reader.next("lost")).data, { lastEventId: eventId });
    }
    await owner.receive(other.numberNo, textFrom(stranger()));
    await owner.receive(one.numberNo, textFrom(stranger(), { text: "for us" }));
    for (const reader of [byHeader, byQuery, since]) {
      await until(() =>
        reader.messages.some(({ data }) => record(data["data"])["text"] === "for us"),
      );
      const companies = reader.messages.flatMap(({ data }) => data["companyid"] ?? []);
      assert.deepEqual([...new Set(companies)], [one.company.id]);
      assert.ok(!JSON.stringify(reader.messages).includes(other.numberId));
    }
  });

  test("of a company that is deleted ends; one of the same name later tells nothing of before", async () => {
    const line = await openLine(world, owner);
    await owner.receive(line.numberNo, textFrom(stranger(), { text: "before" }));
    await using reader = await listen(line);
    await reader.next("snapshot");
    const path = `/api/whatsapp/companies/${line.company.id}`;
    assert.equal((await call(world, "DELETE", path, { token: ADMIN_TOKEN })).status, 200);
    assert.deepEqual((await reader.next("ended")).data, { reason: "company_removed" });
    assert.equal((await ask(world, line, "GET", "/messages")).status, 401);
    const again = await call(world, "POST", "/api/whatsapp/companies", {
      token: ADMIN_TOKEN,
      body: { id: line.company.id, name: "Somebody else" },
    });
    const company = { id: line.company.id, token: String(again.body["token"]) };
    await using later = await listen({ ...line, company }, "?since=2026-01-01T00:00:00Z");
    await later.next("company.created");
    assert.ok(!JSON.stringify(later.messages).includes(line.numberId));
    assert.deepEqual(
      later.events().filter((event) => event.startsWith("message.")),
      [],
    );
    const chats = await ask(world, { company }, "GET", "/contacts");
    assert.deepEqual(chats.body["contacts"], []);
  });
});

/**
 * What every provider keeps to, seen from outside: REST of the gateway, the worker, the provider's server and back, by
 * socket or webhook, to the events that a company hears. The scenarios are the same for all; what a provider cannot do
 * is refused as the table of capabilities says.
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { CAPABILITIES, type Engine, ENGINES, whyNot } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import { fileOf, type Room, SCENARIOS, seen, words } from "./conformance/capability-scenarios.ts";
import { Heard } from "./conformance/events.ts";
import { ANN, type Line, type Variant } from "./conformance/line.ts";
import { linkedVariant } from "./conformance/linked.ts";
import { metaVariant } from "./conformance/meta.ts";
import { connectVariant, platformVariant } from "./conformance/wpp.ts";
import { type Answer, Company, fields, type Json } from "./company.ts";
import { Whole } from "./whole.ts";

const VARIANTS: Readonly<Record<Engine, Variant>> = {
  linked: linkedVariant,
  meta: metaVariant,
  wpp_platform: platformVariant,
  wppconnect: connectVariant,
};

type Opened = { company: Company; line: Line; heard: Heard };

let whole: Whole;
const opened = new Map<Engine, Opened>();
before(async () => {
  whole = await Whole.open({ SENDS_PER_SECOND: "100", SEND_BURST: "100" });
  // Far enough apart that nothing is told before what comes before it.
  Object.assign(whole.world.wpp.options, { stepMs: 40 });
  Object.assign(whole.world.connect.options, { stepMs: 40 });
  await Promise.all(
    ENGINES.map(async (engine) => {
      const company = await Company.make(whole);
      const heard = await Heard.open(company);
      const line = await VARIANTS[engine].open(company);
      opened.set(engine, { company, line, heard });
    }),
  );
});
after(async () => {
  await Promise.all([...opened.values()].map(({ heard }) => heard[Symbol.asyncDispose]()));
  await whole[Symbol.asyncDispose]();
});

for (const engine of ENGINES) {
  describe(engine, () => {
    let company: Company;
    let line: Line;
    let heard: Heard;
    /** A message of Ann's that the number has. */
    let hers: Room["hers"];
    before(() => {
      const found = opened.get(engine);
      assert.ok(found);
      ({ company, line, heard } = found);
    });

    const received = (providerMessageId: string) =>
      heard.until("message.received", (data) => data["providerMessageId"] === providerMessageId);
    const post = (body: object, key?: string): Promise<Answer> =>
      company.session(
        `messages?number=${line.numberId}`,
        "POST",
        body,
        key === undefined ? {} : { "idempotency-key": key },
      );
    const text = () => ({ type: "text", to: `+${ANN}`, text: words() });
    /** What was told of a message until it was read. */
    const story = async (messageId: string): Promise<string[]> => {
      await company.becomes(messageId, "read");
      await heard.until("message.read", (data) => data["messageId"] === messageId);
      return heard.of(messageId).map(({ type }) => type);
    };
    const isSeen = (what: string) => seen(line, (one) => one.text === what);

    it("is connected, and says so in its status, its list and its events", async () => {
      const { body } = await company.session(`status?number=${line.numberId}`);
      assert.deepEqual(
        [body["success"], body["status"], body["reason"], fields(body["number"])["id"]],
        [true, "connected", "open", line.numberId],
      );
      const row = (await company.numbers()).find(({ id }) => id === line.numberId);
      assert.deepEqual([row?.["status"], row?.["isPrimary"]], ["connected", true]);
      const told = await heard.until("session.connected", () => true);
      assert.equal(told.numberid, line.numberId);
    });

    it("tells what a person writes, in the one shape", async () => {
      const what = words();
      const providerMessageId = await line.writes(what);
      const { data, numberid, companyid, seq } = await received(providerMessageId);
      assert.deepEqual([companyid, numberid, seq], [company.id, line.numberId, 1]);
      assert.deepEqual(shapeOf(data), {
        messageId: "msg",
        providerMessageId,
        provider: engine.startsWith("wpp") ? "wpp" : engine,
        chat: { id: "cht", type: "direct", contactId: "con", phone: ANN },
        from: { contactId: "con", phone: ANN },
        type: "text",
        text: what,
        media: null,
        context: null,
      });
      const messageId = String(data["messageId"]);
      const [stored] = await company.messages(line.numberId);
      assert.deepEqual(
        [stored?.["id"] ?? stored?.["messageId"], stored?.["text"], stored?.["direction"]],
        [messageId, what, "in"],
      );
      hers = { messageId, providerMessageId };
    });

    it("sends a text once for its key, and tells what becomes of it in order", async () => {
      const [key, body] = [randomUUID(), text()];
      const answers = [await post(body, key), await post(body, key)];
      assert.deepEqual(
        answers.map(({ status, body: answer }) => [status, answer["isRepeated"]]),
        [
          [202, false],
          [202, true],
        ],
      );
      const [messageId, again] = answers.map((answer) => String(answer.body["messageId"]));
      assert.ok(messageId !== undefined && messageId === again);
      const other = await post({ ...body, text: "something else" }, key);
      assert.deepEqual([other.status, other.body["code"]], [409, "IDEMPOTENCY_MISMATCH"]);
      const first = await story(messageId);
      const stories = [first, await story(await company.send(line.numberId, text()))];
      for (const told of stories) assert.deepEqual(told, inOrder(told));
      // Where it is read at once it need not be told that it was delivered.
      assert.ok(
        stories.some((told) => told.length === STORY.length),
        stories.join(" "),
      );
      const [queued] = heard.of(messageId);
      assert.deepEqual(fields(queued?.data["chat"])["phone"], ANN);
      await isSeen(body.text);
      assert.equal((await line.sees()).filter((one) => one.text === body.text).length, 1);
    });

    it("keeps a file that a person sends, with every byte, and no byte in an event", async () => {
      const { bytes } = fileOf("image");
      const { data } = await received(await line.sendsImage(bytes, "look"));
      const media = fields(data["media"]);
      assert.deepEqual(
        [data["type"], data["text"], media["mimeType"]],
        ["image", "look", "image/png"],
      );
      assert.deepEqual(await company.download(String(media["id"])), bytes);
      assert.ok(!JSON.stringify(data).includes(bytes.toString("base64").slice(0, 40)));
    });

    for (const capability of CAPABILITIES) {
      const why = whyNot(engine, capability);
      const scenario = SCENARIOS[capability];
      it(`${capability}: ${why === undefined ? "done, and seen at the other side" : "501, and why"}`, async () => {
        const room = { engine, company, line, hers };
        const ask = await scenario.ask(room);
        const left = await traces(company);
        const shown = await line.sees();
        const headers = scenario.status === 202 ? { "idempotency-key": randomUUID() } : {};
        const answer = await company.session(ask.path, "POST", ask.body, headers);
        if (why === undefined) {
          assert.equal(answer.status, scenario.status, JSON.stringify(answer.body));
          await scenario.done(room, ask, answer.body);
          return;
        }
        assert.deepEqual([answer.status, answer.body["code"]], [501, "PROVIDER_NOT_SUPPORTED"]);
        assert.ok(String(answer.body["detail"]).includes(why), JSON.stringify(answer.body));
        assert.deepEqual(await traces(company), left);
        assert.deepEqual(await line.sees(), shown);
      });
    }

    it("tells what a person changes, as far as the provider does", async () => {
      const { react, edit, delete: takeBack } = line.changes;
      const target = await line.writes(words());
      const { messageId } = (await received(target)).data;
      const ofIt = (data: Json): boolean => data["messageId"] === messageId;
      if (react) {
        await react(target, "🎉");
        const told = await heard.until("message.reaction", ofIt);
        assert.deepEqual([told.data["emoji"], fields(told.data["from"])["phone"]], ["🎉", ANN]);
      }
      if (edit) {
        const edited = words();
        await edit(target, edited);
        assert.equal((await heard.until("message.edited", ofIt)).data["text"], edited);
        const { body } = await company.session(`messages/${String(messageId)}`);
        assert.equal(fields(body["message"] ?? body)["text"], edited);
      }
      if (takeBack) {
        await takeBack(target);
        await heard.until("message.deleted", ofIt);
        const { body } = await company.session(`messages/${String(messageId)}`);
        assert.equal(fields(body["message"] ?? body)["text"], null);
      }
    });

    it("switched off it sends nothing and says why; switched on it goes on", async () => {
      const off = await company.number(line.numberId, "PATCH", { desiredState: "disconnected" });
      assert.equal(off.status, 200, JSON.stringify(off.body));
      const status = await company.reaches(line.numberId, "disconnected");
      assert.equal(status["reason"], "switched_off");
      assert.equal((await post(text())).body["code"], "NUMBER_DISABLED");
      await company.number(line.numberId, "PATCH", { desiredState: "connected" });
      await company.reaches(line.numberId, "connected");
      const body = text();
      await company.becomes(await company.send(line.numberId, body), "read");
      await isSeen(body.text);
    });

    it("is connected anew when it is asked to, and hears and speaks then", async () => {
      const asked = await company.session(`reconnect?number=${line.numberId}`, "POST", {});
      assert.equal(asked.status, 202, JSON.stringify(asked.body));
      await company.reaches(line.numberId, "connected");
      const body = text();
      await company.becomes(await company.send(line.numberId, body), "read");
      await received(await line.writes(words()));
    });

    it("lost at the other side it says so; what is sent meanwhile waits, and goes when a person has mended it", async () => {
      line.lose();
      const body = text();
      const messageId = await company.send(line.numberId, body);
      const lost = await company.reaches(line.numberId, "disconnected", "error");
      assert.ok(
        ["logged_out", "token_refused"].includes(String(lost["reason"])),
        String(lost["reason"]),
      );
      assert.ok((await line.sees()).every((one) => one.text !== body.text));
      await line.mend();
      await company.becomes(messageId, "read");
      assert.equal((await line.sees()).filter((one) => one.text === body.text).length, 1);
    });

    it("removed it is gone on both sides, and what is written to it reaches nobody", async () => {
      const count = heard.events.filter(({ type }) => type === "message.received").length;
      const removed = await company.number(line.numberId, "DELETE");
      assert.equal(removed.status, 200, JSON.stringify(removed.body));
      assert.equal(removed.body["loggedOut"], true);
      await heard.until("number.removed", (data) => data["numberId"] === line.numberId);
      assert.ok((await company.numbers()).every(({ id }) => id !== line.numberId));
      const { status, body } = await company.session(`status?number=${line.numberId}`);
      assert.deepEqual([status, body["code"]], [404, "NUMBER_NOT_FOUND"]);
      assert.equal((await post(text())).status, 404);
      await until(() => !line.isThere(), { label: "the connection is gone" });
      await line.writes(words());
      // What is told after it is there: so it was not late.
      const next = await company.addNumber({ provider: "linked" });
      await heard.until("number.added", (data) => data["numberId"] === next);
      assert.equal(heard.events.filter(({ type }) => type === "message.received").length, count);
    });
  });
}

const STORY = ["message.queued", "message.sent", "message.delivered", "message.read"];

/** The whole story, with or without its third part. */
const inOrder = (told: readonly string[]): string[] =>
  STORY.filter((type) => type !== "message.delivered" || told.includes(type));

/** What a request can leave behind. */
async function traces({ id }: Company): Promise<Json> {
  const count = (table: string): string =>
    `(select count(*)::int from ${table} t where t.company_no = c.company_no) as ${table}`;
  const tables = [
    "messages",
    "commands",
    "idempotency",
    "media",
    "chats",
    "contacts",
    "pairing_attempts",
  ];
  const [row] = await whole.world.room.superuser<Json>(
    `select ${tables.map(count).join()} from companies c where c.company_id = '${id}'`,
  );
  assert.ok(row);
  return row;
}

/** Ids by what they are ids of; without what some providers know of a person and others do not. */
function shapeOf(data: Json): Json {
  const idOf = (value: unknown): string => String(value).split("_")[0] ?? "";
  const { name: _chatName, ...chat } = fields(data["chat"]);
  const {
    lid: _lid,
    userId: _userId,
    username: _username,
    name: _name,
    ...from
  } = fields(data["from"]);
  const { at, ...rest } = data;
  assert.ok(Date.parse(String(at)) > Date.now() - 60_000, String(at));
  return {
    ...rest,
    messageId: idOf(rest["messageId"]),
    chat: { ...chat, id: idOf(chat["id"]), contactId: idOf(chat["contactId"]) },
    from: { ...from, contactId: idOf(from["contactId"]) },
  };
}

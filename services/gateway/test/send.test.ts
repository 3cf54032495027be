import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newMessageId, shardPoke } from "@manyline/contracts";
import { createToken, inTransaction } from "@manyline/db";
import type { NumberId, Scope } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { ask, openLine, stranger, textFrom } from "./conversations.ts";
import type { Line } from "./conversations.ts";
import { Owner, numberNoOf } from "./owner.ts";
import { addCompany, addNumber, openPage, openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

let world: World;
let owner: Owner;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Body = Record<string, unknown>;
const to = "+7 900 765-43-21";
const text: Body = { to, type: "text", text: "Your visit is tomorrow" };

function send(line: Pick<Line, "company">, body: Body, key?: string): Promise<Answer> {
  const headers = key === undefined ? {} : { "idempotency-key": key };
  return ask(world, line, "POST", "/messages", { body, headers });
}
async function sent(line: Line, body: Body, key?: string): Promise<Body> {
  const answer = await send(line, body, key);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  return record(answer.body["message"]);
}
const assertProblem = ({ status, body }: Answer, expected: number, code: string): void =>
  assert.deepEqual([status, body["code"]], [expected, code], JSON.stringify(body));

test("202 with the message, which waits, is read again, and whose shard is poked", async () => {
  const line = await openLine(world, owner);
  const { companyNo } = await owner.number(line.numberNo);
  const { shardId } = await world.deps.platformDb
    .selectFrom("companies")
    .select("shardId")
    .where("companyNo", "=", companyNo)
    .executeTakeFirstOrThrow();
  let pokes = 0;
  await using subscription = world.deps.bus.subscribe(shardPoke(shardId), () => {
    pokes += 1;
  });
  const answer = await send(line, text);
  assert.equal(answer.status, 202);
  const message = record(answer.body["message"]);
  const { messageId } = message;
  assert.deepEqual(
    [
      answer.body["success"],
      answer.body["messageId"],
      answer.body["status"],
      answer.body["isRepeated"],
    ],
    [true, messageId, "queued", false],
  );
  const chat = record(message["chat"]);
  assert.deepEqual(
    [message["direction"], message["type"], message["text"], chat["phone"], chat["type"]],
    ["out", "text", text["text"], "79007654321", "direct"],
  );
  assert.equal(message["numberId"], line.numberId);
  assert.match(String(message["providerMessageId"]), /^3EB0[0-9A-F]{18}$/);
  await until(() => pokes > 0, { label: "poke" });
  await subscription.close();
  const path = String(answer.headers.get("location"));
  const read = await ask(world, line, "GET", path.slice(path.indexOf("/messages")));
  assert.deepEqual(read.body["message"], message);

  const [claimed] = await owner.claim(line.numberNo);
  assert.deepEqual([claimed?.messageId, claimed?.phone], [messageId, "79007654321"]);
  await owner.note(line.numberNo, { messageId: String(messageId), state: "sent", at: new Date() });
  const later = await ask(world, line, "GET", `/messages/${String(messageId)}`);
  assert.equal(record(later.body["message"])["status"], "sent");
});

test("a chat or contact is refused by where it leads, when the number's server cannot write there", async () => {
  const line = await openLine(world, owner);
  const { phone: _phone, ...hidden } = stranger();
  const providerChatId = "120363041234567891@g.us";
  await owner.receive(line.numberNo, textFrom(stranger()));
  await owner.receive(line.numberNo, textFrom(hidden));
  await owner.receive(
    line.numberNo,
    textFrom(stranger(), { chat: { type: "group", providerChatId } }),
  );
  const listed = await ask(world, line, "GET", "/messages?limit=3");
  const [inGroup, ofHidden, known] = (listed.body["messages"] as Body[]).map((one) =>
    record(one["chat"]),
  );
  const wanted = { type: "text", text: "Yes" };
  await asSuperuser(
    world.database,
    `update numbers set provider = 'wpp', wpp_server = 'wpp_platform' where number_no = ${line.numberNo}`,
  );
  for (const chatId of [inGroup?.["id"], ofHidden?.["id"], ofHidden?.["contactId"]]) {
    const refused = await send(line, { ...wanted, to: chatId });
    assertProblem(refused, 501, "PROVIDER_NOT_SUPPORTED");
    assert.match(String(refused.body["detail"]), /writes to phones only/);
  }
  await sent(line, { ...wanted, to: known?.["id"] });
});

test("every kind reaches the owner as it was said", async () => {
  const line = await openLine(world, owner);
  const anna = stranger();
  await owner.receive(line.numberNo, textFrom(anna));
  const listed = await ask(world, line, "GET", "/messages?limit=1");
  const [inbound] = listed.body["messages"] as Body[];
  const replyTo = inbound?.["messageId"];
  const location = { latitude: 55.75, longitude: 37.62, name: "Salon" };
  const contacts = [{ name: "Boris", phones: ["+79001112233"] }];
  const poll = { name: "When?", options: ["Thursday", "Friday"] };
  const first = await sent(line, { to: anna.phone, type: "text", text: "Yes", replyTo });
  assert.equal(record(first["context"])["messageId"], replyTo);
  await sent(line, { to: `${anna.lid}@lid`, type: "location", location });
  await sent(line, { to: record(inbound?.["chat"])["id"], type: "contact", contacts });
  await sent(line, { to: record(inbound?.["from"])["contactId"], type: "poll", poll });
  await sent(line, { type: "reaction", messageId: replyTo, emoji: "👍" });
  await sent(line, { type: "edit", messageId: first["messageId"], text: "Yes, gladly" });
  await sent(line, { type: "delete", messageId: first["messageId"] });

  const claimed = [];
  for (let i = 0; i < 7; i += 1) {
    const [one] = await owner.claim(line.numberNo);
    assert.ok(one, `number ${i}`);
    claimed.push(one);
    await owner.note(line.numberNo, { messageId: one.messageId, state: "sent", at: new Date() });
  }
  assert.deepEqual(
    claimed.map(({ type }) => type),
    ["text", "location", "contact", "poll", "reaction", "edit", "delete"],
  );
  assert.equal(new Set(claimed.map(({ chatId }) => chatId)).size, 1, "one person, one chat");
  const [asText, asLocation, asContact, asPoll, asReaction, asEdit] = claimed;
  assert.equal(asText?.content?.context?.providerMessageId, inbound?.["providerMessageId"]);
  assert.deepEqual(asLocation?.content?.location, location);
  assert.deepEqual(asContact?.content?.contacts, contacts);
  assert.deepEqual(asPoll?.content?.poll, { ...poll, selectable: 1 });
  assert.deepEqual(
    [asReaction?.content?.emoji, asReaction?.content?.context?.isOwn],
    ["👍", false],
  );
  assert.deepEqual([asEdit?.text, asEdit?.content?.context?.isOwn], ["Yes, gladly", true]);
  const later = await ask(world, line, "GET", `/messages/${String(first["messageId"])}`);
  assert.notEqual(record(later.body["message"])["deletedAt"], null);
  assert.equal(record(later.body["message"])["text"], null);
});

describe("Idempotency-Key", () => {
  test("the same request once, also when it comes at the same time; another one is refused", async () => {
    const line = await openLine(world, owner);
    const answers = await Promise.all(Array.from({ length: 6 }, () => send(line, text, "visit-1")));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [202]);
    assert.equal(new Set(answers.map(({ body }) => body["messageId"])).size, 1);
    assert.equal(answers.filter(({ body }) => body["isRepeated"] === false).length, 1);
    const reordered = await send(line, { text: text["text"], type: "text", to }, "visit-1");
    assert.equal(reordered.body["isRepeated"], true);
    const other = await send(line, { ...text, text: "Another" }, "visit-1");
    assertProblem(other, 409, "IDEMPOTENCY_MISMATCH");
    assert.equal(other.body["messageId"], answers[0]?.body["messageId"]);
    assert.equal((await owner.claim(line.numberNo)).length, 1);
  });

  test("is the company's own, is spent by no refusal, and answers what became of the message", async () => {
    const [line, other] = [await openLine(world, owner), await openLine(world, owner)];
    assertProblem(await send(line, { ...text, to: "nobody" }, "k"), 422, "INVALID_RECIPIENT");
    const message = await sent(line, text, "k");
    const theirs = await send(other, { ...text, text: "Another" }, "k");
    assert.deepEqual([theirs.status, theirs.body["isRepeated"]], [202, false]);
    await owner.claim(line.numberNo);
    const messageId = String(message["messageId"]);
    await owner.note(line.numberNo, { messageId, state: "delivered", at: new Date() });
    const again = await send(line, text, "k");
    assert.deepEqual([again.body["messageId"], again.body["status"]], [messageId, "delivered"]);
    // What keeps new messages out keeps no answer to an old request back.
    await ask(world, line, "PATCH", `/../../companies/${line.company.id}`, {
      body: { whatsappEnabled: false },
    });
    assert.equal((await send(line, text, "k")).status, 202);
    assertProblem(await send(line, text, "k2"), 409, "COMPANY_DISABLED");
  });

  test("must be readable", async () => {
    const line = await openLine(world, owner);
    for (const key of ["two words", "x".repeat(256)]) {
      assertProblem(await send(line, text, key), 400, "INVALID_REQUEST");
    }
  });
});

test("a full queue: 429 with Retry-After, and room again when one is sent", async () => {
  const line = await openLine(world, owner, { whatsappConfig: { maxQueuedMessages: 2 } });
  const first = await sent(line, text);
  await sent(line, text);
  const refused = await send(line, text, "full");
  assertProblem(refused, 429, "QUEUE_FULL");
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  await owner.claim(line.numberNo);
  const messageId = String(first["messageId"]);
  await owner.note(line.numberNo, { messageId, state: "sent", at: new Date() });
  await sent(line, text, "full");
});

test("what is wrong is said, and nothing is queued", async () => {
  const line = await openLine(world, owner);
  const unknown = newMessageId();
  for (const [body, status, code] of [
    [{ type: "carousel", to }, 400, "INVALID_REQUEST"],
    [{ to, text: "no type" }, 400, "INVALID_REQUEST"],
    [{ ...text, txt: "typing mistake" }, 400, "INVALID_REQUEST"],
    [{ ...text, text: "x".repeat(65_537) }, 400, "INVALID_REQUEST"],
    [{ ...text, text: "a\u0000b" }, 400, "INVALID_REQUEST"],
    [{ ...text, expiresInSeconds: 1 }, 400, "INVALID_REQUEST"],
    [{ ...text, to: "Anna" }, 422, "INVALID_RECIPIENT"],
    [{ ...text, to: "12" }, 422, "INVALID_RECIPIENT"],
    [{ ...text, to: "status@broadcast" }, 422, "INVALID_RECIPIENT"],
    [{ ...text, to: `cht_${"0".repeat(32)}` }, 404, "CHAT_NOT_FOUND"],
    [{ ...text, to: `con_${"0".repeat(32)}` }, 404, "CONTACT_NOT_FOUND"],
    [{ ...text, replyTo: unknown }, 404, "MESSAGE_NOT_FOUND"],
    [{ type: "edit", messageId: unknown, text: "a" }, 404, "MESSAGE_NOT_FOUND"],
    [{ type: "image", to, mediaId: `med_${"0".repeat(32)}` }, 404, "MEDIA_NOT_FOUND"],
    [{ type: "image", to }, 400, "INVALID_REQUEST"],
    [
      {
        type: "contact",
        to,
        contacts: Array.from({ length: 20 }, () => ({
          name: "Анна",
          phones: ["+79001112233"],
          vcard: "я".repeat(8_000),
        })),
      },
      413,
      "PAYLOAD_TOO_LARGE",
    ],
  ] as const) {
    assertProblem(await send(line, body), status, code);
  }
  const huge = await send(line, { ...text, text: "x".repeat(1_100_000) });
  assertProblem(huge, 413, "PAYLOAD_TOO_LARGE");
  assert.deepEqual(await owner.claim(line.numberNo), []);
});

test("a message of others is not edited, one that is gone not changed", async () => {
  const line = await openLine(world, owner);
  await owner.receive(line.numberNo, textFrom(stranger()));
  const listed = await ask(world, line, "GET", "/messages?limit=1");
  const messageId = record((listed.body["messages"] as Body[])[0])["messageId"];
  assertProblem(await send(line, { type: "edit", messageId, text: "a" }), 409, "NOT_CHANGEABLE");
  assertProblem(await send(line, { type: "delete", messageId }), 409, "NOT_CHANGEABLE");
});

test("which number: the primary, the one that is named, none that is switched off or another company's", async () => {
  const line = await openLine(world, owner);
  const second = await addNumber(world, line.company);
  const byName = await ask(world, line, "POST", `/messages?number=${second}`, { body: text });
  assert.equal(record(byName.body["message"])["numberId"], second);
  assert.equal((await sent(line, text))["numberId"], line.numberId);
  const other = await openLine(world, owner);
  const foreign = await ask(world, line, "POST", `/messages?number=${other.numberId}`, {
    body: text,
  });
  assertProblem(foreign, 404, "NUMBER_NOT_FOUND");
  const path = `/../../companies/${line.company.id}/numbers/${line.numberId}`;
  await ask(world, line, "PATCH", path, { body: { desiredState: "disconnected" } });
  assertProblem(await send(line, text), 409, "NUMBER_DISABLED");
  const empty = await addCompany(world);
  assertProblem(await send({ company: empty }, text), 404, "NUMBER_NOT_FOUND");
});

test("who may send: scope send; another company's messages cannot be named", async () => {
  const line = await openLine(world, owner);
  const { companyNo } = await owner.number(line.numberNo);
  const tokenWith = async (...scopes: Scope[]): Promise<string> => {
    const { secret } = await inTransaction(world.deps.platformDb, (tx) =>
      createToken(tx, { companyNo, name: "test", scopes, kind: "api" }),
    );
    return secret;
  };
  const [reader, sender] = [await tokenWith("read", "pair", "manage"), await tokenWith("send")];
  const options = { body: text };
  assertProblem(
    await ask(world, line, "POST", "/messages", { ...options, token: reader }),
    403,
    "FORBIDDEN",
  );
  const done = await ask(world, line, "POST", "/messages", { ...options, token: sender });
  assert.equal(done.status, 202);
  assertProblem(await ask(world, line, "GET", "/messages", { token: sender }), 403, "FORBIDDEN");
  const cookie = await openPage(world, line.company);
  const byPage = await ask(world, { company: { ...line.company, token: "" } }, "GET", "/messages", {
    cookie,
  });
  assert.ok([401, 403].includes(byPage.status));

  const other = await openLine(world, owner);
  const messageId = done.body["messageId"];
  for (const body of [
    { type: "edit", messageId, text: "a" },
    { ...text, replyTo: messageId },
  ]) {
    assertProblem(await send(other, body), 404, "MESSAGE_NOT_FOUND");
  }
  const chat = record(record(done.body["message"])["chat"]);
  assertProblem(await send(other, { ...text, to: chat["id"] }), 404, "CHAT_NOT_FOUND");
  assertProblem(await send(other, { ...text, to: chat["contactId"] }), 404, "CONTACT_NOT_FOUND");
});

test("a token for one number: its own messages by key, its own files", async () => {
  const line = await openLine(world, owner);
  const second = (await addNumber(world, line.company)) as NumberId;
  const { companyNo } = await owner.number(line.numberNo);
  const tokenOf = async (numberNo: number): Promise<string> => {
    const { secret } = await inTransaction(world.deps.platformDb, (tx) =>
      createToken(tx, { companyNo, numberNo, name: "bound", scopes: ["send"], kind: "api" }),
    );
    return secret;
  };
  const tokens = [
    await tokenOf(line.numberNo),
    await tokenOf(await numberNoOf(world, second)),
  ] as const;
  const headers = { "idempotency-key": "the-same" };
  const by = (token: string, body: Body, more = {}): Promise<Answer> =>
    ask(world, line, "POST", "/messages", { token, body, ...more });
  const first = await by(tokens[0], text, { headers });
  assert.equal(first.status, 202);
  assert.equal((await by(tokens[0], text, { headers })).body["messageId"], first.body["messageId"]);
  assertProblem(await by(tokens[1], text, { headers }), 409, "IDEMPOTENCY_MISMATCH");

  const upload = await fetch(`${world.url}/api/whatsapp/sessions/${line.company.id}/media`, {
    method: "POST",
    headers: { authorization: `Bearer ${tokens[0]}`, "content-type": "text/plain" },
    body: "for one's own customers",
  });
  const { mediaId } = record(await upload.json());
  const document = { to, type: "document", mediaId };
  assertProblem(await by(tokens[1], document), 404, "MEDIA_NOT_FOUND");
  assert.equal((await by(tokens[0], document)).status, 202);
});

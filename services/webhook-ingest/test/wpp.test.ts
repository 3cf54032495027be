import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Envelope } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { eventsOf, openRoom, type Room, someId } from "./room.ts";
import {
  addWppLine,
  connectMessage,
  endSession,
  platformMessage,
  postWpp,
  readFixture,
  sendOne,
  type WppLine,
} from "./wpp-room.ts";

let room: Room;
let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "wpp-media-"));
  room = await openRoom({
    env: {
      MEDIA_STORE: folder,
      WPP_BODY_BYTES: String(2 * 1024 * 1024),
      WPP_FILE_BYTES: String(1024 * 1024),
    },
  });
});
after(async () => {
  await room[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Row = Record<string, unknown>;
const execute = (statement: string) =>
  asSuperuser<Record<string, unknown>>(room.database, statement);
const dataOf = ({ data }: Envelope): Row => Object(data) as Row;
const of = (line: WppLine, type: string): Envelope[] =>
  room.seen.filter((one) => one.type === type && one.numberid === line.numberId);
const eventOf = (line: WppLine, type: string): Promise<Envelope> =>
  until(() => of(line, type)[0], { label: `${type} of ${line.session}` });
const eventLog = async ({ numberNo }: WppLine): Promise<string[]> => {
  const rows = await execute(
    `select type from whatsapp_events where number_no = ${numberNo} order by event_no`,
  );
  return rows.map(({ type }) => String(type)).filter((type) => type !== "contact.created");
};
const statusOf = async ({ numberNo }: WppLine): Promise<string> => {
  const [row] = await execute(
    `select status || ' ' || reason as now from numbers where number_no = ${numberNo}`,
  );
  return String(row?.["now"]);
};

const EVENT_TYPES: Readonly<Record<string, string>> = {
  "message.received": "message.received",
  "message.outgoing": "message.echoed",
  "message.reaction": "message.reaction",
  "message.revoked": "message.deleted",
  "session.qr": "pairing.qr_issued",
  "session.pairing_code": "pairing.code_issued",
  "session.connected": "session.connected",
  "session.disconnected": "session.disconnected",
};

test("file by file, what is expected is at a subscriber and in the database", async () => {
  const [head = "", ...rows] = readFixture("expected.tsv").replace(/\n$/, "").split("\n");
  const names = head.split("\t");
  for (const text of rows) {
    const cells = text.split("\t");
    const row = Object.fromEntries(names.map((name, place) => [name, cells[place] ?? ""]));
    const { file = "", session = "", event = "", message_id: id = "", from = "", type = "" } = row;
    const line = await addWppLine(room, session === "-" ? undefined : session);
    const account = /__account-(\d+)/.exec(file)?.[1];
    const query = account === undefined ? "" : `?account=${account}`;
    const body = readFixture(file);
    assert.equal(await postWpp(room, line.webhookKey, body, query), 200, file);
    const told = event === "message.status" ? `message.${type}` : EVENT_TYPES[event];
    if (told === undefined) {
      assert.deepEqual(await eventLog(line), [], file);
    } else {
      const data = dataOf(await eventOf(line, told));
      const person = Object(data["from"]) as Row;
      if (id !== "-") assert.equal(data["providerMessageId"], id, file);
      if (/^\d+$/.test(from) && told !== "message.echoed") {
        assert.equal(person["phone"], from, file);
      }
      if (from.startsWith("lid:"))
        assert.deepEqual([person["phone"], person["lid"]], [null, from.slice(4)]);
      if (told === "message.received" || told === "message.echoed") {
        const said = row["text"] === "-" ? null : row["text"];
        assert.deepEqual([data["type"], data["text"]], [type, said], file);
        const stored = await execute(
          `select text from messages where number_no = ${line.numberNo} and type = '${type}'`,
        );
        assert.deepEqual(stored, [{ text: said }], file);
      }
      // It may come as often as it likes.
      assert.equal(await postWpp(room, line.webhookKey, body, query), 200, file);
      const log = await eventLog(line);
      assert.equal(log.filter((entry) => entry === told).length, 1, `${file}: ${log.join(" ")}`);
    }
    await endSession(room, line);
  }
});

describe("a webhook", () => {
  test("is committed once, however often and by whatever way it comes", async () => {
    const line = await addWppLine(room);
    const body = connectMessage(line);
    const statuses = await Promise.all(
      Array.from({ length: 8 }, () => postWpp(room, line.webhookKey, body)),
    );
    assert.deepEqual(new Set(statuses), new Set([200]));
    // After a start the server tells of what is unread.
    const again = { ...body, event: "unreadmessages" };
    assert.equal(await postWpp(room, line.webhookKey, again), 200);
    assert.deepEqual(await eventLog(line), ["message.received"]);
    // What has no id is known by what it says.
    const nameless = platformMessage(line, { messageId: undefined });
    for (let turn = 0; turn < 2; turn += 1) {
      assert.equal(await postWpp(room, line.webhookKey, nameless), 200);
    }
    const texts = await execute(`select text from messages where number_no = ${line.numberNo}`);
    assert.ok(texts.length >= 2 && texts.length <= 3, "a minute may end between the two");
  });

  test("is for the number whose key it has, and for no other account", async () => {
    const line = await addWppLine(room);
    const other = await addWppLine(room);
    const body = platformMessage(line);
    for (const key of [other.webhookKey, randomUUID(), "x", line.webhookKey.slice(0, -1)]) {
      assert.equal(await postWpp(room, key, body), 401, key);
    }
    // One piece of another's is enough.
    const mixed = [body, platformMessage(other)];
    assert.equal(await postWpp(room, line.webhookKey, mixed), 401);
    await endSession(room, other);
    assert.equal(await postWpp(room, other.webhookKey, platformMessage(other)), 401);
    assert.deepEqual([await eventLog(line), await eventLog(other)], [[], []]);
    assert.equal(await postWpp(room, line.webhookKey.toUpperCase(), body), 200);
    assert.deepEqual(await eventLog(line), ["message.received"]);
  });

  test("that cannot be read, or is too large, says so", async () => {
    const line = await addWppLine(room);
    for (const bad of ["", "{", '"text"', "7", "\u0000"]) {
      assert.equal(await postWpp(room, line.webhookKey, bad), 400, bad);
    }
    const large = JSON.stringify(connectMessage(line, { body: "A".repeat(3 * 1024 * 1024) }));
    assert.equal(await postWpp(room, line.webhookKey, large), 413);
    // Whoever has no key is not even listened to.
    assert.equal(await postWpp(room, randomUUID(), "{"), 401);
    for (const odd of [{}, [], { event: {}, session: line.session }, { type: 7, data: [[]] }]) {
      assert.equal(await postWpp(room, line.webhookKey, odd), 200);
    }
    assert.deepEqual(await eventLog(line), []);
  });

  test("in another order than things happened ends the same", async () => {
    const line = await addWppLine(room);
    const name = `true_79000000001@c.us_${someId()}`;
    const messageId = await sendOne(room, line, name);
    const status = (word: string): object => ({
      type: "delivery",
      account: line.session,
      messageId: name,
      status: word,
    });
    for (const word of ["read", "delivered", "sent", "read"]) {
      assert.equal(await postWpp(room, line.webhookKey, status(word)), 200);
    }
    const [row] = await execute(`select state from messages where message_id = '${messageId}'`);
    assert.equal(row?.["state"], "read");
    // A message that is deleted before it comes stays told: the two have their own events.
    const message = connectMessage(line) as { id: string; from: string };
    const revoked = { event: "onrevokedmessage", session: line.session, refId: message.id };
    const at = { from: message.from, id: `x${someId()}` };
    assert.equal(await postWpp(room, line.webhookKey, { ...revoked, ...at }), 200);
    assert.equal(await postWpp(room, line.webhookKey, message), 200);
    assert.deepEqual(
      (await eventLog(line)).filter((type) => !/queued|sent/.test(type)),
      ["message.read", "message.deleted", "message.received"],
    );
  });
});

describe("a message that was sent", () => {
  test("is found by its task and by WhatsApp's id, whichever a status names", async () => {
    const line = await addWppLine(room);
    const task = `task_${someId()}`;
    const waMessageId = `true_79000000001@c.us_${someId()}`;
    const messageId = await sendOne(room, line, task);
    const tell = (data: object, type = "message.status"): Promise<number> =>
      postWpp(room, line.webhookKey, { type, data: { account: line.session, ...data } });
    assert.equal(await tell({ taskId: task, waMessageId, status: "sent" }), 200);
    assert.equal(await tell({ messageId: task, status: "delivered" }, "delivery"), 200);
    assert.equal(await tell({ messageId: waMessageId, status: "read" }, "delivery"), 200);
    for (const word of ["sent", "delivered", "read"]) {
      const data = dataOf(await eventOf(line, `message.${word}`));
      assert.deepEqual([data["messageId"], data["providerMessageId"]], [messageId, waMessageId]);
    }
    // Its own echo is no second message, and a deletion names neither chat nor person.
    const echo = { fromMe: true, from: "+79000000001", text: "x", messageId: waMessageId };
    assert.equal(await tell(echo, "message"), 200);
    assert.equal(await tell({ messageId: task, status: "deleted" }, "delivery"), 200);
    const deleted = dataOf(await eventOf(line, "message.deleted"));
    assert.deepEqual(
      [deleted["messageId"], deleted["providerMessageId"]],
      [messageId, waMessageId],
    );
    assert.deepEqual(of(line, "message.echoed"), []);
  });

  test("is waited for when its status is faster than its name", async () => {
    const line = await addWppLine(room);
    const id = `true_79000000001@c.us_${someId()}`;
    const messageId = await sendOne(room, line);
    const ack = { event: "onack", session: line.session, id: { _serialized: id, fromMe: true } };
    const own = { fromMe: true, to: "79000000001@c.us", chatId: "79000000001@c.us" };
    const echo = connectMessage(line, { event: "onselfmessage", id, ...own });
    const answers = [
      postWpp(room, line.webhookKey, { ...ack, ack: 2, to: own.to }),
      postWpp(room, line.webhookKey, echo),
    ];
    // Others of the number do not wait for it.
    const message = connectMessage(line) as { id: string };
    assert.equal(await postWpp(room, line.webhookKey, message), 200);
    assert.equal(eventsOf(room, "message.delivered", id).length, 0);
    await execute(
      `update messages set provider_message_id = '${id}' where message_id = '${messageId}'`,
    );
    assert.deepEqual(await Promise.all(answers), [200, 200]);
    assert.equal(dataOf(await eventOf(line, "message.delivered"))["messageId"], messageId);
    assert.ok(!(await eventLog(line)).includes("message.echoed"));
  });

  test("is known by its words when its echo comes long before the status that names it", async () => {
    const line = await addWppLine(room);
    const [task, waMessageId] = [`task_${someId()}`, `true_79000000001@c.us_${someId()}`];
    const messageId = await sendOne(room, line, task);
    await execute(
      `update messages set state = 'sent', is_open = false, state_at = now() where message_id = '${messageId}'`,
    );
    const echo = { fromMe: true, messageId: waMessageId };
    const own = platformMessage(line, { ...echo, text: "Your visit is tomorrow" });
    const phones = { ...echo, text: "From the phone", messageId: `${waMessageId}9` };
    const answers = [own, platformMessage(line, phones)].map((body) =>
      postWpp(room, line.webhookKey, body),
    );
    assert.deepEqual(await Promise.all(answers), [200, 200]);
    const data = { account: line.session, taskId: task, waMessageId, status: "read" };
    const status = { type: "message.status", data };
    assert.equal(await postWpp(room, line.webhookKey, status), 200);
    assert.equal(dataOf(await eventOf(line, "message.read"))["messageId"], messageId);
    const echoed = dataOf(await eventOf(line, "message.echoed"));
    assert.equal(echoed["text"], "From the phone");
    assert.equal((await eventLog(line)).filter((type) => type === "message.echoed").length, 1);
    assert.equal(await postWpp(room, line.webhookKey, own), 200);
    const named = `select provider_message_id as id, task_id as task from messages where message_id = '${messageId}'`;
    assert.deepEqual(await execute(named), [{ id: waMessageId, task }]);
  });

  test("is called by WhatsApp's id, however late its task becomes known", async () => {
    const line = await addWppLine(room);
    const task = `task_${someId()}`;
    const waMessageId = `true_79000000001@c.us_${someId()}`;
    const messageId = await sendOne(room, line);
    const data = { account: line.session, taskId: task, waMessageId, status: "sent" };
    const answer = postWpp(room, line.webhookKey, { type: "message.status", data });
    await execute(
      `update messages set provider_message_id = '${task}' where message_id = '${messageId}'`,
    );
    assert.equal(await answer, 200);
    const [row] = await execute(
      `select provider_message_id, task_id from messages where message_id = '${messageId}'`,
    );
    assert.deepEqual(row, { providerMessageId: waMessageId, taskId: task });
  });

  test("is not told as deleted or reacted to twice, when that was done from here", async () => {
    const line = await addWppLine(room);
    const name = `true_79000000001@c.us_${someId()}`;
    const contextId = await sendOne(room, line, name);
    const react = (reactionText: string, id: string): Promise<number> =>
      postWpp(room, line.webhookKey, {
        event: "onreactionmessage",
        session: line.session,
        id: { _serialized: `true_79000000001@c.us_${id}`, fromMe: true },
        msgId: name,
        reactionText,
      });
    await sendOne(room, line, undefined, { type: "reaction", contextId, content: { emoji: "👍" } });
    assert.equal(await react("👍", "A"), 200);
    // From the phone.
    assert.equal(await react("❤️", "B"), 200);
    const gone = { type: "delivery", account: line.session, messageId: name, status: "deleted" };
    await sendOne(room, line, undefined, { type: "edit", contextId });
    assert.equal(await postWpp(room, line.webhookKey, gone), 200);
    const log = (await eventLog(line)).filter((type) => type !== "message.queued");
    assert.deepEqual(log, ["message.reaction"]);
    assert.equal(dataOf(await eventOf(line, "message.reaction"))["emoji"], "❤️");
  });

  test("from elsewhere is told without our id", async () => {
    const line = await addWppLine(room);
    const body = { type: "delivery", account: line.session, messageId: "task_x", status: "read" };
    assert.equal(await postWpp(room, line.webhookKey, body), 200);
    assert.equal(dataOf(await eventOf(line, "message.read"))["messageId"], null);
  });
});

test("a reaction counts each time it is another", async () => {
  const line = await addWppLine(room);
  const target = `true_5511900000001@c.us_${someId()}`;
  const react = (reactionText: string, id: string): Promise<number> =>
    postWpp(room, line.webhookKey, {
      event: "onreactionmessage",
      session: line.session,
      id: { _serialized: `false_5511900000001@c.us_${id}` },
      msgId: target,
      reactionText,
    });
  for (const [emoji, id] of [
    ["👍", "A"],
    ["👍", "A"],
    ["", "B"],
    ["👍", "C"],
  ] as const) {
    assert.equal(await react(emoji, id), 200);
  }
  const told = await until(() => {
    const all = of(line, "message.reaction");
    return all.length >= 3 ? all : undefined;
  });
  assert.deepEqual(
    told.map((event) => dataOf(event)["emoji"]),
    ["👍", null, "👍"],
  );
});

test("a call is told once, with who calls", async () => {
  const line = await addWppLine(room);
  const call = { event: "incomingcall", session: line.session, id: someId(), isVideo: true };
  for (let turn = 0; turn < 2; turn += 1) {
    const body = { ...call, peerJid: "5511900000001@c.us", isGroup: false };
    assert.equal(await postWpp(room, line.webhookKey, body), 200);
  }
  const data = dataOf(await eventOf(line, "call.received"));
  assert.equal((data["person"] as Row)["phone"], "5511900000001");
  assert.deepEqual(data["details"], { callId: call.id, groupId: null, isVideo: true });
  assert.deepEqual(await eventLog(line), ["call.received"]);
});

describe("a file", () => {
  const files = async (): Promise<string[]> =>
    (await readdir(folder, { recursive: true })).filter((path) => /med_[0-9a-f]{32}$/.test(path));

  test("in a webhook is in the store, once, and in no event", async () => {
    const line = await addWppLine(room);
    const bytes = randomBytes(300_000);
    const image = { type: "image", body: bytes.toString("base64"), mimetype: "image/jpeg" };
    const body = connectMessage(line, { ...image, caption: "the receipt" });
    const kept = (await files()).length;
    const statuses = await Promise.all([1, 2, 3].map(() => postWpp(room, line.webhookKey, body)));
    assert.deepEqual(statuses, [200, 200, 200]);
    const event = await eventOf(line, "message.received");
    assert.ok(JSON.stringify(event).length < 2_000);
    const media = dataOf(event)["media"] as Row;
    assert.deepEqual([media["bytes"], media["mimeType"]], [bytes.length, "image/jpeg"]);
    const [row] = await execute(`select * from media where number_no = ${line.numberNo}`);
    assert.deepEqual([row?.["mediaId"], row?.["state"]], [media["id"], "stored"]);
    const open = await room.deps.store.open(String(row?.["location"]));
    assert.ok(open);
    const chunks: Buffer[] = [];
    for await (const chunk of open.stream) chunks.push(chunk as Buffer);
    assert.ok(Buffer.concat(chunks).equals(bytes));
    assert.equal((await files()).length, kept + 1, "those of repetitions are gone");
  });

  test("that is too large is left where it is", async () => {
    const line = await addWppLine(room);
    const image = { type: "image", mimetype: "image/jpeg" };
    const large = randomBytes(1_100_000).toString("base64");
    const body = connectMessage(line, { ...image, body: large });
    assert.equal(await postWpp(room, line.webhookKey, body), 200);
    await eventOf(line, "message.received");
    const rows = await execute(`select state from media where number_no = ${line.numberNo}`);
    assert.deepEqual(rows, [{ state: "remote" }]);
  });

  test("that cannot be stored makes the webhook come again", async () => {
    const line = await addWppLine(room);
    const body = connectMessage(line, { type: "image", body: "AAAA", mimetype: "image/jpeg" });
    await rm(folder, { recursive: true });
    await writeFile(folder, "no folder");
    assert.equal(await postWpp(room, line.webhookKey, body), 503);
    assert.deepEqual(await eventLog(line), []);
    await rm(folder);
    assert.equal(await postWpp(room, line.webhookKey, body), 200);
    assert.deepEqual(await eventLog(line), ["message.received"]);
  });
});

describe("a session", () => {
  const tell = (line: WppLine, event: string, more: object = {}): Promise<number> =>
    postWpp(room, line.webhookKey, { event, session: line.session, ...more });

  test("is shown as QRs, then as connected, then as logged out", async () => {
    const line = await addWppLine(room);
    for (const urlcode of ["2@one", "2@one", "2@two"]) {
      assert.equal(await tell(line, "qrcode", { urlcode, qrcode: "iVBORw0KGgo=" }), 200);
    }
    assert.equal(await statusOf(line), "connecting pairing");
    const [attempt] = await execute(
      `select state, k, secret_kind from pairing_attempts where number_no = ${line.numberNo}`,
    );
    assert.deepEqual(attempt, { state: "qr", k: 2, secretKind: "qr" });
    await tell(line, "status-find", { status: "qrReadSuccess" });
    await tell(line, "status-find", { status: "inChat" });
    await tell(line, "status-find", { status: "isLogged" });
    assert.equal(await statusOf(line), "connected open");
    await tell(line, "status-find", { status: "disconnectedMobile" });
    assert.equal(await statusOf(line), "disconnected logged_out");
    assert.deepEqual(await eventLog(line), [
      "pairing.started",
      "pairing.qr_issued",
      "session.connecting",
      "pairing.qr_issued",
      "pairing.linking",
      "pairing.succeeded",
      "session.connected",
      "session.disconnected",
    ]);
    const [ended] = await execute(
      `select outcome, secret from pairing_attempts where number_no = ${line.numberNo}`,
    );
    assert.deepEqual(ended, { outcome: "succeeded", secret: null });
  });

  test("is shown as a code, which is in no event", async () => {
    const line = await addWppLine(room);
    await tell(line, "phoneCode", { phoneCode: "ABCD1234", phone: "5511900000098" });
    const event = await eventOf(line, "pairing.code_issued");
    assert.equal(dataOf(event)["phone"], "5511900000098");
    assert.ok(!JSON.stringify(event).includes("ABCD1234"));
    await tell(line, "status-find", { status: "isLogged" });
    assert.equal(dataOf(await eventOf(line, "pairing.succeeded"))["phone"], "5511900000098");
  });

  test("that asks to be scanned again has been logged out", async () => {
    const line = await addWppLine(room);
    await tell(line, "status-find", { status: "inChat" });
    await tell(line, "status-find", { status: "notLogged" });
    assert.equal(await statusOf(line), "disconnected logged_out");
    await tell(line, "status-find", { status: "notLogged" });
    assert.equal(await statusOf(line), "connecting pairing");
    await tell(line, "status-find", { status: "phoneNotConnected" });
    assert.equal(await statusOf(line), "error phone_offline");
    await tell(line, "status-find", { status: "serverClose" });
    assert.equal(await statusOf(line), "disconnected offline");
  });

  test("that a person has ended is begun again by nobody but a person", async () => {
    const line = await addWppLine(room);
    const where = `where number_no = ${line.numberNo}`;
    await execute(`update numbers set status = 'disconnected', reason = 'unlinked' ${where}`);
    assert.equal(await tell(line, "qrcode", { urlcode: "2@late" }), 200);
    assert.equal(await tell(line, "status-find", { status: "notLogged" }), 200);
    assert.equal(await statusOf(line), "disconnected unlinked");
    assert.deepEqual(await eventLog(line), []);
  });

  test("that changed before what is known, or that nobody wants, is left as it is", async () => {
    const line = await addWppLine(room);
    const platform = (type: string, timestamp: number): Promise<number> =>
      postWpp(room, line.webhookKey, { type, account: line.session, timestamp });
    const now = Math.floor(Date.now() / 1_000);
    await platform("connected", now);
    await platform("offline", now - 60);
    assert.equal(await statusOf(line), "connected open");
    await execute(
      `update numbers set desired_state = 'disconnected' where number_no = ${line.numberNo}`,
    );
    await platform("offline", now + 1);
    assert.equal(await statusOf(line), "connected open");
  });
});

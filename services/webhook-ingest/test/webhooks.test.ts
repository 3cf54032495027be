import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { askReplay, listUnroutable } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import {
  activate,
  addLine,
  entryOf,
  eventsOf,
  FORMER_SECRET,
  giveApp,
  metaBody,
  openRoom,
  post,
  type Room,
  sign,
  someId,
  textMessage,
  VERIFY_TOKEN,
  webhookOf,
} from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom({ env: { WEBHOOK_BODY_BYTES: String(1024 * 1024) } });
});
after(() => room[Symbol.asyncDispose]());

const received = (id: string) =>
  until(() => eventsOf(room, "message.received", id)[0], { label: `event of ${id}` });

describe("the handshake", () => {
  const ask = async (query: Record<string, string>, path = "/webhooks/meta") => {
    const answer = await fetch(`${room.url}${path}?${new URLSearchParams(query).toString()}`);
    return {
      status: answer.status,
      text: await answer.text(),
      type: answer.headers.get("content-type"),
    };
  };
  const good = {
    "hub.mode": "subscribe",
    "hub.verify_token": VERIFY_TOKEN,
    "hub.challenge": "1158201444",
  };

  test("gives the challenge back as it came, to whoever knows the token", async () => {
    assert.deepEqual(await ask(good), {
      status: 200,
      text: "1158201444",
      type: "text/plain; charset=utf-8",
    });
    for (const bad of [
      { "hub.verify_token": "x" },
      { "hub.verify_token": "" },
      { "hub.mode": "unsubscribe" },
      { "hub.challenge": "c".repeat(2_000) },
    ]) {
      const { status, text } = await ask({ ...good, ...bad });
      assert.deepEqual([status, text], [403, "forbidden\n"]);
    }
    assert.equal((await fetch(`${room.url}/webhooks/meta`)).status, 403);
    const twice = `${new URLSearchParams(good).toString()}&hub.verify_token=x`;
    assert.equal((await fetch(`${room.url}/webhooks/meta?${twice}`)).status, 403);
  });

  test("of a company's own app has its own token", async () => {
    const line = await addLine(room);
    const path = `/webhooks/meta/${line.companyId}`;
    const own = { ...good, "hub.verify_token": `verify-${line.companyId}` };
    assert.equal((await ask(own, path)).status, 403);
    await giveApp(room, line, "own-secret");
    // Found missing a moment ago, and that is believed for a while.
    await until(async () => (await ask(own, path)).status === 200);
    assert.equal((await ask(good, path)).status, 403);
    assert.equal((await ask(own)).status, 403);
  });
});

describe("a webhook", () => {
  test("is an event at a subscriber, once, however often it comes", async () => {
    const line = await addLine(room);
    const message = textMessage({ text: { body: "naïve café — привет 👋" } });
    const body = webhookOf(entryOf(line, { messages: [message] }));
    const statuses = await Promise.all(Array.from({ length: 8 }, () => post(room, body)));
    assert.deepEqual(new Set(statuses), new Set([200]));
    const event = await received(message.id);
    assert.equal(event.companyid, line.companyId);
    assert.equal(event.numberid, line.numberId);
    assert.equal((event.data as { text: string }).text, "naïve café — привет 👋");
    const later = textMessage();
    await post(room, webhookOf(entryOf(line, { messages: [later] })));
    await received(later.id);
    assert.equal(eventsOf(room, "message.received", message.id).length, 1);
  });

  test("for two companies reaches each, and nobody else; 60 in one are all told", async () => {
    const lines = [await addLine(room), await addLine(room)];
    const all = Array.from({ length: 60 }, (_, index) => ({
      line: lines[index % 2] ?? lines[0],
      message: textMessage({ from: `4917${index.toString().padStart(8, "0")}` }),
    }));
    const entries = all.flatMap(({ line, message }) =>
      line ? [entryOf(line, { messages: [message] })] : [],
    );
    assert.equal(await post(room, webhookOf(...entries)), 200);
    for (const { line, message } of all) {
      const event = await received(message.id);
      assert.equal(event.companyid, line?.companyId);
    }
  });

  test("of a thousand messages of three hundred strangers is told whole, each chat in its order", async () => {
    const line = await addLine(room);
    const messages = Array.from({ length: 1_000 }, (_, place) =>
      textMessage({ from: `4917000${1_000 + (place % 300)}`, text: { body: String(place) } }),
    );
    const body = webhookOf(entryOf(line, { messages }));
    // Twice, as when the answer came too late.
    assert.deepEqual(await Promise.all([post(room, body), post(room, body)]), [200, 200]);
    const told = () =>
      room.seen.filter(
        (one) => one.companyid === line.companyId && one.type === "message.received",
      );
    await until(() => told().length >= messages.length, { label: "all told" });
    const texts = Map.groupBy(told(), ({ data }) => String(Object(Object(data).chat).id));
    assert.deepEqual([told().length, texts.size], [1_000, 300]);
    for (const chat of texts.values()) {
      const numbered = chat.toSorted((one, other) => Number(one.seq) - Number(other.seq));
      const places = numbered.map(({ data }) => Number(Object(data).text));
      assert.deepEqual(
        places,
        places.toSorted((one, other) => one - other),
      );
    }
  });

  test("may begin with a byte order mark", async () => {
    const line = await addLine(room);
    const message = textMessage();
    const body = webhookOf(entryOf(line, { messages: [message] }));
    assert.equal(await post(room, Buffer.concat([Buffer.from("\ufeff"), body])), 200);
    await received(message.id);
  });

  test("with statuses out of order tells each once", async () => {
    const line = await addLine(room);
    const id = `wamid.${someId()}`;
    const status = (word: string): Buffer =>
      webhookOf(
        entryOf(line, {
          statuses: [{ id, status: word, timestamp: "1763700011", recipient_id: "1555" }],
        }),
      );
    for (const word of ["read", "delivered", "sent", "read"])
      assert.equal(await post(room, status(word)), 200);
    for (const word of ["read", "delivered", "sent"]) {
      await until(() => eventsOf(room, `message.${word}`, id).length === 1, { label: word });
    }
  });

  test("is refused without the right signature, and nothing of it is stored", async () => {
    const line = await addLine(room);
    const message = textMessage();
    const body = webhookOf(entryOf(line, { messages: [message] }));
    for (const header of [
      null,
      "",
      "sha256=",
      sign(body, "wrong"),
      sign(body).replace("sha256", "sha1"),
      sign(Buffer.from("{}")),
    ]) {
      assert.equal(await post(room, body, { header }), 401, String(header));
    }
    const rows = await asSuperuser<{ count: number }>(
      room.database,
      `select count(*)::int as count from messages where number_no = ${line.numberNo}`,
    );
    assert.equal(rows[0]?.count, 0);
    assert.equal(await post(room, body, { secret: FORMER_SECRET }), 200);
    await received(message.id);
  });

  test("that is too large, no JSON, empty, or about something else", async () => {
    assert.equal(await post(room, Buffer.alloc(1024 * 1024 + 1, "x")), 413);
    assert.equal(await post(room, Buffer.from("{")), 400);
    assert.equal(await post(room, Buffer.alloc(0)), 400);
    const line = await addLine(room);
    const manyThings = webhookOf(
      entryOf(line, { messages: Array.from({ length: 100_001 }, () => 1) }),
    );
    assert.equal(await post(room, manyThings), 413);
    const message = textMessage();
    const other = { object: "page", entry: [entryOf(line, { messages: [message] })] };
    for (const value of [other, {}, [], null, "x", { object: "whatsapp_business_account" }]) {
      assert.equal(await post(room, metaBody(value)), 200, JSON.stringify(value));
    }
    assert.equal(eventsOf(room, "message.received", message.id).length, 0);
    assert.equal((await fetch(`${room.url}/webhooks/meta`, { method: "PUT" })).status, 404);
  });
});

describe("a company's own app", () => {
  test("is believed for that company only, and its secret can be changed", async () => {
    const [mine, theirs] = [await addLine(room), await addLine(room)];
    await giveApp(room, mine, "own-1");
    const path = `/webhooks/meta/${mine.companyId}`;
    const [good, stolen] = [textMessage(), textMessage()];
    const body = webhookOf(
      entryOf(theirs, { messages: [stolen] }),
      entryOf(mine, { messages: [good] }),
    );
    assert.equal(await post(room, body, { path }), 401);
    assert.equal(await post(room, body, { secret: "own-1" }), 401);
    assert.equal(
      await post(room, body, { secret: "own-1", path: `/webhooks/meta/${theirs.companyId}` }),
      401,
    );
    assert.equal(await post(room, body, { secret: "own-1", path: "/webhooks/meta/nobody" }), 401);
    assert.equal(await post(room, body, { secret: "own-1", path }), 200);
    await received(good.id);
    assert.equal(eventsOf(room, "message.received", stolen.id).length, 0);

    await giveApp(room, mine, "own-2");
    const next = textMessage();
    const late = webhookOf(entryOf(mine, { messages: [next] }));
    await until(async () => (await post(room, late, { secret: "own-2", path })) === 200);
    assert.equal(await post(room, late, { secret: "own-1", path }), 200);
    await received(next.id);
  });
});

describe("what belongs to nobody", () => {
  test("is listed, and told after the fix by one call", async () => {
    const line = await addLine(room, { isActive: false });
    const messages = [textMessage(), textMessage()];
    const body = webhookOf(entryOf(line, { messages }));
    assert.equal(await post(room, body), 200);
    assert.equal(await post(room, body), 200);
    const listed = async () =>
      (await listUnroutable(room.platform, 100)).find(
        ({ phoneNumberId }) => phoneNumberId === line.phoneNumberId,
      );
    const row = await listed();
    assert.deepEqual([row?.reason, row?.pieces, row?.times], ["not_active", 2, 2]);
    await activate(room, line);
    await askReplay(room.platform, { phoneNumberId: line.phoneNumberId });
    for (const { id } of messages) await received(id);
    await until(async () => (await listed()) === undefined, { label: "nothing is left" });
  });

  test("counts how often it came, however many commits it takes", async () => {
    const line = await addLine(room, { isActive: false });
    const messages = Array.from({ length: 600 }, () => textMessage());
    const few = webhookOf(
      entryOf(line, { messages: messages.slice(0, 300) }),
      entryOf(line, { messages: messages.slice(300) }),
    );
    const times = async () =>
      (await listUnroutable(room.platform, 100)).find(
        ({ phoneNumberId }) => phoneNumberId === line.phoneNumberId,
      )?.times;
    assert.equal(await post(room, few), 200);
    assert.equal(await times(), 2, "two changes, once each");
    assert.equal(await post(room, few), 200);
    assert.equal(await times(), 4);
    assert.equal(await post(room, webhookOf(entryOf(line, { messages }))), 200);
    assert.equal(await times(), 5);

    await askReplay(room.platform, { phoneNumberId: line.phoneNumberId });
    const waiting = `select from unroutable where replay_at is not null and phone_number_id = '${line.phoneNumberId}'`;
    await until(async () => (await asSuperuser(room.database, waiting)).length === 0);
    assert.equal(await times(), 5, "kept: the number is not active");
    await activate(room, line);
    await askReplay(room.platform, { phoneNumberId: line.phoneNumberId });
    await until(async () => (await times()) === undefined, { label: "nothing is left" });
    await until(() =>
      messages.every(({ id }) => eventsOf(room, "message.received", id).length === 1),
    );
  });

  test("a piece that cannot be stored keeps none of its webhook from being told, and is replayed when it can", async () => {
    const lines = [await addLine(room), await addLine(room)];
    const poison = textMessage({ text: { body: "cannot be stored" } });
    const messages = Array.from({ length: 6 }, (_, place) =>
      place === 2 ? poison : textMessage(),
    );
    const body = webhookOf(
      ...messages.map((message, place) =>
        entryOf(lines[place % 2] ?? assert.fail(), { messages: [message] }),
      ),
    );
    const change = (text: string) => asSuperuser(room.database, `alter table messages ${text}`);
    await change("add constraint poison check (text <> 'cannot be stored')");
    try {
      assert.equal(await post(room, body), 200);
    } finally {
      await change("drop constraint poison");
    }
    for (const one of messages.filter((message) => message !== poison)) await received(one.id);
    assert.deepEqual(eventsOf(room, "message.received", poison.id), []);
    const phoneNumberId = lines[0]?.phoneNumberId;
    const rows = await listUnroutable(room.platform, 100);
    assert.deepEqual(
      rows.flatMap((row) => (row.reason === "failed" ? [[row.phoneNumberId, row.pieces]] : [])),
      [[phoneNumberId, 1]],
    );
    await askReplay(room.platform, { phoneNumberId });
    assert.equal((await received(poison.id)).companyid, lines[0]?.companyId);
    for (const { id } of messages) assert.equal(eventsOf(room, "message.received", id).length, 1);
  });

  test("the right number under a wrong account is not guessed", async () => {
    const line = await addLine(room);
    const message = textMessage();
    const wrong = { ...line, wabaId: someId() };
    assert.equal(await post(room, webhookOf(entryOf(wrong, { messages: [message] }))), 200);
    const rows = await listUnroutable(room.platform, 100);
    const row = rows.find(({ wabaId }) => wabaId === wrong.wabaId);
    assert.equal(row?.reason, "wrong_account");
  });
});

test("metrics and health are there", async () => {
  assert.equal((await fetch(`${room.url}/health/live`)).status, 200);
  assert.equal((await fetch(`${room.url}/metrics`)).status, 200);
});

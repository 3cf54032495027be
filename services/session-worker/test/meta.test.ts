/** Numbers of the Cloud API, against the simulated Meta: confirmed, sending, failing alone, mended at run time. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, describe, it } from "node:test";
import type { MessageData } from "@manyline/contracts";
import {
  type SendInput,
  noteHandshake,
  openDatabase,
  putMetaApp,
  readPortfolio,
  withCompany,
} from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { Graph, GraphRefusal } from "../src/providers/meta/graph.ts";
import { uploadFile } from "../src/providers/meta/upload.ts";
import { ANN, openHook, openMetaRoom, takeWebhook } from "./meta-room.ts";
import { enqueue, sendStates, untilSend } from "./sending.ts";

const parts = await openMetaRoom();
const { meta, room, line, setPlace, addNumber, reaches, send, told } = parts;
after(() => parts.close());

describe("a Meta number", () => {
  it("is active once Meta has confirmed it, sends with its own token, and knows Meta's id", async () => {
    const one = line();
    const number = await addNumber(one.place);
    const row = await reaches(number, "connected", "open");
    assert.deepEqual([row.isActive, row.phone], [true, one.number.phone]);
    const queued = await send(number);
    const sent = await told(number, queued, "message.sent");
    const taken = meta.sending.sent.find(({ callbackData }) => callbackData === queued.messageId);
    assert.equal(sent.data["providerMessageId"], taken?.id);
    assert.deepEqual(taken?.body["text"], { body: "good day", preview_url: false });

    const template = { name: "hello", language: "en_US" };
    meta.world.addTemplate({ wabaId: one.waba.id, name: "hello" });
    const good = await send(number, { type: "template", text: null, content: { template } });
    await told(number, good, "message.sent");
    const other = { ...template, name: "nothing" };
    const bad = await send(number, { type: "template", text: null, content: { template: other } });
    const failed = await told(number, bad, "message.failed");
    assert.equal((failed.data["error"] as { code: string }).code, "TEMPLATE_NOT_ACCEPTED");
  });

  it("in another account, or with a token that is of no use, is not active, and mends without a restart", async () => {
    const [one, other] = [line(), line()];
    const wrong = await addNumber({ ...one.place, wabaId: other.place.wabaId });
    const refused = await addNumber({ ...other.place, accessToken: "nonsense" }, wrong.companyNo);
    await reaches(wrong, "error", "token_refused");
    const both = meta.world.addToken({ wabas: [one.waba.id, other.waba.id] });
    await setPlace(wrong, { ...one.place, wabaId: other.place.wabaId, accessToken: both.token });
    await reaches(wrong, "error", "not_confirmed");
    assert.equal((await reaches(refused, "error", "token_refused")).isActive, false);
    await setPlace(wrong, one.place);
    await setPlace(refused, other.place);
    await reaches(wrong, "connected", "open");
    await reaches(refused, "connected", "open");
    const rival = await addNumber(one.place);
    await reaches(rival, "error", "not_confirmed");
  });

  it("whose token has expired stops alone; its messages wait, and go with the new token", async () => {
    const [good, bad] = [line(), line()];
    const healthy = await addNumber(good.place);
    const ill = await addNumber(bad.place, healthy.companyNo);
    await reaches(healthy, "connected", "open");
    await reaches(ill, "connected", "open");
    bad.token.expiresAt = Math.floor(Date.now() / 1_000) - 1;
    const waiting = await send(ill);
    await reaches(ill, "error", "token_refused");
    await told(healthy, await send(healthy), "message.sent");
    assert.deepEqual(await sendStates(room, { number: ill, phone: "1" }), { queued: 1 });
    const fresh = meta.world.addToken({ wabas: [bad.waba.id] });
    await setPlace(ill, { ...bad.place, accessToken: fresh.token });
    await told(ill, waiting, "message.sent");
    const log = await readFile(room.log, "utf8");
    for (const secret of [good.token.token, bad.token.token, fresh.token]) {
      assert.ok(!log.includes(secret), "no token in the log");
    }
  });

  it("whose answer got lost sends nothing twice: unknown, until a status says what became of it", async () => {
    const one = line();
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    const fault = { part: "messages" as const, phoneNumberId: one.number.id, when: { next: 1 } };
    meta.faults.add({ ...fault, effect: { cut: "after" } });
    const lost = await send(number);
    await told(number, lost, "message.unknown");
    const tries = meta.sending.sent.filter(({ callbackData }) => callbackData === lost.messageId);
    assert.equal(tries.length, 1);

    await using db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
    const status = {
      id: tries[0]?.id,
      status: "delivered",
      biz_opaque_callback_data: lost.messageId,
    };
    await takeWebhook(db, room, one, { statuses: [status] });
    const delivered = await told(number, lost, "message.delivered");
    assert.equal(delivered.data["providerMessageId"], tries[0]?.id);
  });

  it("that writes too often to one person holds that chat only", async () => {
    const one = line();
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    meta.world.addPerson({ phone: "15550100020" });
    meta.say(one.number.id, "15550100020", "hi");
    meta.faults.add({
      to: ANN,
      phoneNumberId: one.number.id,
      effect: { error: { code: 131_056 } },
      when: { next: 2 },
    });
    const held = await send(number);
    const { messageId } = await enqueue(
      room,
      { number, phone: "1" },
      { phone: "15550100020" },
      { provider: "meta" },
    );
    await told(number, { messageId }, "message.sent");
    assert.equal((await sendStates(room, { number, phone: "1" }))["queued"], 1);
    await told(number, held, "message.sent");
  });

  it("is checked step by step, each with what to do; no token is shown", async () => {
    const [one, other] = [line(), line()];
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    const all = async () => {
      const { result } = await room.command(number, "check_number");
      assert.ok(!JSON.stringify(result).includes("EAA"));
      return (result?.["checks"] ?? []) as Record<"name" | "state" | "detail", string>[];
    };
    const check = async () =>
      Object.fromEntries((await all()).map(({ name, state }) => [name, state]));
    assert.match((await all())[0]?.detail ?? "", /^SET \(\d+ chars\), valid$/);
    const { numberNo } = number;
    await asSuperuser(
      room.database,
      `update numbers set has_common_token = true where number_no = ${numberNo}`,
    );
    assert.match((await all())[0]?.detail ?? "", /, that of META_ACCESS_TOKEN, valid$/);
    one.token.isRevoked = true;
    assert.match((await all())[0]?.detail ?? "", /, that of META_ACCESS_TOKEN\. Meta answers with/);
    one.token.isRevoked = false;
    const steps = {
      token: "ok",
      scopes: "ok",
      expiry: "ok",
      token_alone: "ok",
      number: "ok",
      account: "ok",
      subscription: "failed",
      verify_token: "warning",
      test_event: "warning",
      encryption_key: "warning",
    };
    assert.deepEqual(await check(), steps);
    meta.world.wabas.get(one.waba.id)?.subscribedApps.add("1");
    one.token.appId = "2";
    assert.equal((await check())["subscription"], "warning");
    one.token.appId = "1";
    one.token.expiresAt = Math.floor(Date.now() / 1_000) + 3_600;
    one.token.scopes = ["whatsapp_business_management", "whatsapp_business_messaging"];
    await addNumber({ ...other.place, accessToken: one.token.token }, number.companyNo);
    assert.deepEqual(await check(), {
      ...steps,
      subscription: "ok",
      expiry: "warning",
      scopes: "failed",
      token_alone: "warning",
    });
    await using db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
    await noteHandshake(db, "");
    await takeWebhook(db, room, one, {
      messages: [{ from: ANN, id: "wamid.check", type: "text" }],
    });
    const found = await check();
    assert.deepEqual([found["verify_token"], found["test_event"]], ["ok", "ok"]);
    await withCompany(room.app, number.companyNo, (tx) =>
      putMetaApp(tx, room.database.keyring, number.companyNo, {
        appId: null,
        appSecret: "own-secret",
        verifyToken: "own-token-1",
      }),
    );
    assert.equal((await check())["verify_token"], "warning");
    const log = (await readFile(room.log, "utf8"))
      .split("\n")
      .filter((text) => text.includes('"meta.') && text.includes(number.numberId));
    const hash = createHash("sha256").update(one.token.token).digest("hex").slice(0, 12);
    assert.ok(log.some((text) => text.includes("meta.checked")));
    assert.ok(log.every((text) => text.includes(hash) && !text.includes(one.token.token)));
  });

  it("whose token another company has as well is warned; which company it is, is told nobody", async () => {
    const one = line();
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    const alone = async () => {
      const { result } = await room.command(number, "check_number");
      const checks = (result?.["checks"] ?? []) as { name: string; detail: string }[];
      return checks.find(({ name }) => name === "token_alone");
    };
    assert.equal((await alone())?.detail, "No other number has this token.");
    const theirs = await addNumber({ ...line().place, accessToken: one.token.token });
    const found = await alone();
    assert.equal(found?.detail, "A number of another company has this token.");
    assert.ok(!JSON.stringify(found).includes(theirs.companyNo.toString()));
    // Stored before there were hashes: its owner notes it when it confirms the number.
    const hash = async (): Promise<number> => {
      const rows = await asSuperuser<{ size: number }>(
        room.database,
        `select coalesce(length(token_hash), 0) as size from numbers where number_no = ${number.numberNo}`,
      );
      return rows[0]?.size ?? 0;
    };
    await asSuperuser(
      room.database,
      `update numbers set token_hash = null where number_no = ${number.numberNo}`,
    );
    await room.command(number, "reconnect");
    await until(async () => (await hash()) === 32, { label: "the hash", deadlineMs: 15_000 });
  });

  it("tells in time that its token ends, once per threshold and token", async () => {
    const one = line();
    const inDays = (days: number): number => Math.floor(Date.now() / 1_000) + days * 86_400;
    one.token.expiresAt = inDays(5);
    const number = await addNumber(one.place);
    const ending = async () =>
      (await room.events(number)).filter(({ type }) => type === "number.token_expiring");
    const [first] = await until(async () => {
      const found = await ending();
      return found.length > 0 ? found : undefined;
    });
    assert.deepEqual(first?.data, {
      provider: "meta",
      expiresAt: new Date(one.token.expiresAt * 1_000).toISOString(),
      days: 7,
    });
    await setPlace(number, one.place);
    await reaches(number, "connected", "open");
    const fresh = meta.world.addToken({ wabas: [one.waba.id], expiresAt: inDays(2) });
    await setPlace(number, { ...one.place, accessToken: fresh.token });
    await until(async () => (await ending()).length > 1);
    assert.deepEqual(
      (await ending()).map(({ data }) => data["days"]),
      [7, 3],
    );
    const lasting = meta.world.addToken({ wabas: [one.waba.id] });
    await setPlace(number, { ...one.place, accessToken: lasting.token });
    await reaches(number, "connected", "open");
    await told(number, await send(number), "message.sent");
    assert.equal((await ending()).length, 2);
  });

  it("knows its portfolio; shows typing together with the mark that a message was read", async () => {
    const one = line();
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    const portfolio = await until(() =>
      withCompany(room.app, number.companyNo, (tx) => readPortfolio(tx, number)),
    );
    assert.deepEqual(portfolio, { id: one.waba.portfolioId, limit: "TIER_2K", people: 0 });
    const chat = { phone: ANN, lid: null, groupId: null };
    const type = (args: object) =>
      room.command(number, "show_typing", { chat, state: "typing", ...args });
    assert.equal((await type({ lastMessageId: "wamid.typed" })).state, "done");
    assert.equal((await type({ state: "paused", lastMessageId: "wamid.paused" })).state, "done");
    assert.equal((await type({})).state, "done");
    assert.ok(meta.sending.typing.includes("wamid.typed"));
    assert.ok(!meta.sending.read.includes("wamid.paused"));
  });

  it("fetches a file that somebody sent with its own token, and no other number's", async () => {
    const one = line();
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    const bytes = Buffer.from("picture");
    const { id } = meta.media.add({
      phoneNumberId: one.number.id,
      wabaId: one.waba.id,
      mimeType: "image/png",
      bytes,
    });
    const sister = meta.world.addNumber({ wabaId: one.waba.id });
    const foreign = meta.media.add({
      phoneNumberId: sister.id,
      wabaId: one.waba.id,
      mimeType: "image/png",
      bytes,
    });
    await using db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
    const messages = [id, foreign.id].map((file, place) => ({
      from: ANN,
      id: `wamid.file.${place}`,
      type: "image",
      image: { id: file, mime_type: "image/png" },
    }));
    await takeWebhook(db, room, one, { messages });
    const files = await asSuperuser<{ media_id: string }>(
      room.database,
      `select media_id from media where number_no = ${number.numberNo} order by media_id`,
    );
    const [mine, theirs] = files.map((row) => ({ mediaId: Object.values(row)[0] }));
    assert.ok(mine && theirs);
    assert.equal((await room.command(number, "fetch_media", mine)).state, "done");
    const gone = await room.command(number, "fetch_media", theirs);
    assert.deepEqual([gone.state, gone.error?.["code"]], ["failed", "MEDIA_NOT_FOUND"]);
  });

  it("sends files as they are read, and proves that it knows the app's secret where that is asked for", async () => {
    const app = meta.world.addApp({ isProofRequired: true });
    const { number, waba, token } = meta.world.addLine({ appId: app.id });
    const graph = new Graph({ url: meta.url, version: "v26.0", timeoutMs: 10_000 });
    const place = {
      wabaId: waba.id,
      phoneNumberId: number.id,
      token: token.token,
      isActive: true,
    };
    const chunks = Array.from({ length: 48 }, (_, index) => Buffer.alloc(65_536, index));
    const whole = Buffer.concat(chunks);
    const upload = (appSecret: string | undefined, bytes: number | null) =>
      uploadFile(
        graph,
        { ...place, appSecret },
        { mimeType: "video/mp4", fileName: "a.mp4", bytes },
        ReadableStream.from(chunks),
      );
    for (const bytes of [whole.length, null]) {
      const file = meta.media.files.get(await upload(app.secret, bytes));
      assert.ok(file?.bytes.equals(whole), String(bytes));
      assert.equal(file?.mimeType, "video/mp4");
    }
    await assert.rejects(upload(undefined, null), GraphRefusal);
    await assert.rejects(upload("another", null), GraphRefusal);
  });

  it("whom it writes to by another phone than Meta knows them by is one person, in one chat", async () => {
    const [dialled, waId] = ["5511987654321", "551187654321"];
    meta.world.addPerson({ phone: waId, dialled: [dialled], name: "Ana" });
    await using hook = await openHook(room);
    const app = meta.world.addApp({ callbackUrl: hook.url });
    const { number: there, waba, token } = meta.world.addLine({ appId: app.id });
    const place = { wabaId: waba.id, phoneNumberId: there.id, accessToken: token.token };
    const number = await addNumber(place);
    await reaches(number, "connected", "open");
    const one = { number, phone: there.phone };
    const write = (more: Partial<SendInput>) =>
      enqueue(room, one, { phone: dialled }, { provider: "meta", ...more });
    const heard = (count: number) =>
      until(async () => {
        const all = (await room.events(number)).filter(({ type }) => type === "message.received");
        return all.length === count ? all : undefined;
      });
    meta.world.addTemplate({ wabaId: waba.id, name: "hello" });
    const template = { name: "hello", language: "en_US" };
    const first = await write({ type: "template", text: null, content: { template } });
    const read = await untilSend(room, one, first, "message.read", 20_000);
    assert.deepEqual(
      [...new Set(hook.statuses.map((status) => status["recipient_id"]))],
      [waId],
      "Meta has named them otherwise",
    );
    const chatOf = (event: { data: unknown }) => (event.data as MessageData).chat.id;
    // Its statuses may be noted before the answer to it is.
    const names = `select from contact_aliases where company_no = ${number.companyNo} and value = '${waId}'`;
    await until(async () => (await asSuperuser(room.database, names)).length === 1);
    meta.say(there.id, waId, "obrigada");
    const [answer] = await heard(1);
    assert.ok(answer);
    assert.deepEqual(
      [chatOf(answer), (answer.data as MessageData).from.phone],
      [chatOf(read), dialled],
    );
    const second = await write({ text: "de nada" });
    assert.equal(chatOf(await untilSend(room, one, second, "message.sent", 20_000)), chatOf(read));
    meta.say(there.id, waId, "até logo");
    assert.equal(chatOf((await heard(2))[1] ?? read), chatOf(read));
    const types = (await room.events(number)).map(({ type }) => type);
    assert.equal(types.filter((type) => type === "contact.created").length, 1);
    assert.ok(!types.includes("contact.merged"));

    // And somebody who wrote before the number wrote to them by the other phone.
    const [theirs, known] = ["5215512345678", "525512345678"];
    meta.world.addPerson({ phone: theirs, dialled: [known], name: "Luz" });
    meta.say(there.id, theirs, "hola");
    const [, , hello] = await heard(3);
    assert.ok(hello);
    await enqueue(room, one, { phone: known }, { provider: "meta" });
    const merged = await until(async () =>
      (await room.events(number)).find(({ type }) => type === "contact.merged"),
    );
    const { contactId, chats } = merged.data;
    assert.equal(contactId, (hello.data as MessageData).from.contactId);
    assert.deepEqual(
      (chats as { into: string }[]).map(({ into }) => into),
      [chatOf(hello)],
    );
    const last = await enqueue(room, one, { phone: known }, { provider: "meta" });
    const sent = await untilSend(room, one, last, "message.sent", 20_000);
    assert.equal(chatOf(sent), chatOf(hello));
  });
});

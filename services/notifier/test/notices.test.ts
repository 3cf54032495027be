/** Notices to people, from the commit of an event to a real SMTP server and Twilio's wire. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  pairingPasskeyRequired,
  pairingRateLimited,
  pairingSucceeded,
  parsePhone,
  sessionConnected,
} from "@manyline/contracts";
import { appendEvents, exchangeLink, inTransaction } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { makeEvent } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import {
  addLine,
  type Desk,
  disconnected,
  issueCode,
  type Line,
  mailsTo,
  noticesOfLine,
  numberAdded,
  openDesk,
  sessionDisconnected,
  tell,
  textsTo,
} from "./notices-room.ts";
import { startOne } from "./room.ts";

let desk: Desk;
before(async () => {
  desk = await openDesk();
});
after(() => desk[Symbol.asyncDispose]());

const outcomes = async (line: Line, channel: "email" | "sms" = "email"): Promise<string[]> =>
  (await noticesOfLine(desk, line))
    .filter((row) => row.channel === channel)
    .flatMap(({ tries }) => tries.map(({ outcome }) => outcome));
const stateOf = async (line: Line, channel: "email" | "sms" = "email") =>
  (await noticesOfLine(desk, line)).find((row) => row.channel === channel)?.state;
const passkey = (): Parameters<typeof tell<typeof pairingPasskeyRequired>>[3] => ({
  attemptId: `pai_${"0".repeat(32)}` as never,
  expiresAt: new Date().toISOString(),
  options: {},
});

test("a code arrives by mail and SMS within 2 s, in the company's language, and is kept nowhere", async () => {
  const line = await addLine(desk, { language: "ru", notificationEmail: "second@salon.example" });
  const start = performance.now();
  await issueCode(desk, line, { code: "QXZWCANY" });
  await until(() => textsTo(desk, line.phone).length === 1, { label: "the SMS" });
  await until(
    () =>
      mailsTo(desk, line.address).length === 1 &&
      mailsTo(desk, "second@salon.example").length === 1,
    { label: "both mails" },
  );
  const tookMs = performance.now() - start;
  assert.ok(tookMs < 2_000, `${tookMs} ms`);
  const [mail] = mailsTo(desk, line.address);
  assert.match(mail?.text ?? "", /QXZW-CANY/);
  assert.match(mail?.html ?? "", /QXZW-CANY/);
  assert.match(
    mail?.subject ?? "",
    /^Код для подключения WhatsApp компании «Salon», действует до \d\d:\d\d:\d\d$/,
  );
  assert.match(textsTo(desk, line.phone)[0]?.body ?? "", /^QXZW-CANY: код WhatsApp/);
  await until(
    async () => (await noticesOfLine(desk, line)).every(({ state }) => state === "sent"),
    {
      label: "all noted",
    },
  );
  for (const { tries } of await noticesOfLine(desk, line)) {
    assert.equal(tries[0]?.outcome, "sent");
    assert.ok((tries[0]?.latencyMs ?? -1) >= 0);
  }
  const [found] = await asSuperuser<{ count: number }>(
    desk.database,
    `select (select count(*) from notifications n where n::text ~ 'QXZW|CANY')
      + (select count(*) from whatsapp_events e where e::text ~ 'QXZW|CANY') as count`,
  );
  assert.equal(Number(found?.count), 0);
});

test("one mail where both addresses are one, no SMS where none is wanted, nothing of a code that ended", async () => {
  const line = await addLine(desk, { whatsappConfig: { smsProvider: "twilio" } });
  await asSuperuser(
    desk.database,
    `update companies set notification_email = upper(admin_email) where company_no = ${line.companyNo}`,
  );
  await issueCode(desk, line, { code: "AAAABBBB" });
  await until(async () => (await stateOf(line)) === "sent", { label: "sent" });
  assert.equal((await noticesOfLine(desk, line)).length, 1);
  const late = await addLine(desk);
  await issueCode(desk, late, { code: "CCCCDDDD", lifeMs: 2_500 });
  await until(async () => (await stateOf(late)) === "over", {
    label: "over: too short to be typed",
  });
  const ended = await addLine(desk);
  desk.inbox.faults.add({ channel: "smtp", effect: "refuse", status: 451 });
  await issueCode(desk, ended, { code: "EEEEFFFF" });
  await until(async () => (await outcomes(ended)).length === 1, { label: "one try" });
  await asSuperuser(
    desk.database,
    `update pairing_attempts set state = 'ended', ended_at = now(), secret = null, secret_kind = null
      where company_no = ${ended.companyNo}`,
  );
  await until(async () => (await stateOf(ended)) === "over", { label: "over: used" });
  assert.equal(mailsTo(desk, late.address).length + mailsTo(desk, ended.address).length, 0);
});

test("a letter that cannot be written is not taken for one that was sent", async () => {
  const line = await addLine(desk, { phone: null });
  const where = `where company_no = ${line.companyNo}`;
  desk.inbox.faults.add({ channel: "smtp", effect: "refuse", status: 451 });
  await issueCode(desk, line, { code: "WWWWXXXX" });
  await until(async () => (await outcomes(line)).length === 1, { label: "one try" });
  const flip = (): Promise<unknown> =>
    asSuperuser(
      desk.database,
      `update pairing_attempts set secret = set_byte(secret, 20, 255 - get_byte(secret, 20)) ${where}`,
    );
  await flip();
  await until(
    async () => {
      const [row] = await asSuperuser<{ isPut: boolean }>(
        desk.database,
        `select attempts = 1 and due_at > now() + interval '550 ms' as is_put from notifications ${where}`,
      );
      return row?.isPut === true;
    },
    { label: "put off" },
  );
  await flip();
  await until(async () => (await outcomes(line)).join() === "down,sent", { label: "sent" });
  assert.equal((await noticesOfLine(desk, line))[0]?.isRepeat, false);
});

test("an event that comes again tells nobody again", async () => {
  const line = await addLine(desk);
  const event = await issueCode(desk, line, { code: "GGGGHHHH" });
  await until(async () => (await stateOf(line)) === "sent", { label: "sent" });
  const body = JSON.stringify(event.envelope);
  await desk.deps.bus.publish(event.natsSubject, body, { msgId: `${event.envelope.id}-again` });
  const other = await addLine(desk);
  await issueCode(desk, other, { code: "IIIIJJJJ" });
  await until(async () => (await stateOf(other)) === "sent", { label: "what came after it" });
  assert.equal(mailsTo(desk, line.address).length, 1);
  assert.equal(textsTo(desk, line.phone).length, 1);
});

test("SMTP that is down and comes back within the code's life; and one that comes back too late", async () => {
  const line = await addLine(desk);
  desk.inbox.faults.add({ channel: "smtp", effect: "refuse", status: 421, count: 2 });
  await issueCode(desk, line, { code: "KKKKLLLL" });
  await until(() => mailsTo(desk, line.address).length === 1, { label: "the third try" });
  await until(async () => (await outcomes(line)).join() === "down,down,sent", { label: "noted" });
  const late = await addLine(desk, { phone: null });
  desk.inbox.faults.add({ channel: "smtp", effect: "drop", count: 0 });
  try {
    await issueCode(desk, late, { code: "MMMMNNNN", lifeMs: 5_000 });
    await until(async () => ["failed", "over"].includes((await stateOf(late)) ?? ""), {
      label: "given up",
      deadlineMs: 8_000,
    });
  } finally {
    desk.inbox.faults.clear();
  }
  const next = await addLine(desk);
  await issueCode(desk, next, { code: "OOOOPPPP" });
  await until(async () => (await stateOf(next)) === "sent", { label: "the next one" });
  assert.equal(mailsTo(desk, late.address).length, 0, "nothing late");
});

test("Twilio's refusals are told apart", async () => {
  const expected = [
    [{ status: 400, code: 21211 }, ["wrong_address"], "failed"],
    [{ status: 401 }, ["unauthorised"], "failed"],
    [{ status: 429 }, ["throttled", "sent"], "sent"],
    [{ status: 503 }, ["down", "sent"], "sent"],
  ] as const;
  for (const [answer, tries, state] of expected) {
    const line = await addLine(desk, { adminEmail: null });
    desk.inbox.faults.add({ channel: "sms", effect: "refuse", ...answer });
    await issueCode(desk, line, { code: "QQQQRRRR" });
    await until(async () => (await stateOf(line, "sms")) === state, { label: `${answer.status}` });
    assert.deepEqual(await outcomes(line, "sms"), tries);
    assert.equal(textsTo(desk, line.phone).length, state === "sent" ? 1 : 0);
  }
  const none = await addLine(desk, {
    adminEmail: null,
    whatsappConfig: { smsNotifications: true, smsProvider: "pigeon" },
  });
  await issueCode(desk, none, { code: "QQQQRRRR" });
  await until(async () => (await stateOf(none, "sms")) === "failed", { label: "no such provider" });
  assert.deepEqual(await outcomes(none, "sms"), ["not_configured"]);
});

test("what may have arrived is sent once more, marked, and then never again", async () => {
  const line = await addLine(desk, { phone: null });
  desk.inbox.faults.add({ channel: "smtp", effect: "take_and_drop", count: 2 });
  await issueCode(desk, line, { code: "SSSSTTTT" });
  await until(async () => (await stateOf(line)) === "failed", { label: "settled" });
  assert.deepEqual(await outcomes(line), ["unclear", "unclear"]);
  const [first, second, ...more] = mailsTo(desk, line.address).map(({ raw }) => raw.toString());
  assert.equal(more.length, 0);
  assert.doesNotMatch(first ?? "", /X-Manyline-Repeat/i);
  assert.match(second ?? "", /X-Manyline-Repeat: true/i);
  const idOf = (raw = ""): string | undefined => /^Message-ID: (.+)$/im.exec(raw)?.[1];
  assert.ok(idOf(first));
  assert.equal(idOf(first), idOf(second), "readers' programs show one");
});

test("an outage of 1,000 numbers is one mail, and what follows waits", async () => {
  const address = "operator@salon.example";
  const numbers = { adminEmail: address, phone: null, language: "es" };
  const lines = [await addLine(desk, numbers), await addLine(desk, numbers)];
  const many: Line[] = [];
  for (const line of lines) {
    const added = await asSuperuser<{ number_no: number; number_id: string }>(
      desk.database,
      `insert into numbers (company_no, number_id, provider)
        select ${line.companyNo}, 'num_' || md5(random()::text), 'linked' from generate_series(1, 500)
        returning number_no, number_id`,
    );
    const facts = added as unknown as { numberNo: number; numberId: Line["numberId"] }[];
    for (const fact of facts) many.push({ ...line, ...fact });
  }
  const events = many.map((line) => ({
    companyNo: line.companyNo,
    numberNo: line.numberNo,
    event: makeEvent(sessionDisconnected, line, disconnected("reconnecting"), {
      service: "test",
      at: new Date(),
    }),
  }));
  const stored = await inTransaction(desk.platform, (tx) => appendEvents(tx, events));
  desk.deps.relay.publish(stored);
  const waiting = async (state: string): Promise<number> =>
    Number(
      (
        await asSuperuser<{ count: string }>(
          desk.database,
          `select count(*) from notifications where address = '${address}' and state = '${state}'`,
        )
      )[0]?.count,
    );
  await until(async () => (await waiting("sent")) + (await waiting("waiting")) === 1_000, {
    label: "all noted",
    deadlineMs: 15_000,
  });
  await until(() => mailsTo(desk, address).length > 0, { label: "a mail" });
  await until(async () => (await waiting("sent")) > 0, { label: "sent" });
  const [mail, ...more] = mailsTo(desk, address);
  assert.equal(more.length, 0);
  assert.match(mail?.subject ?? "", /^WhatsApp: [\d.\s]+ avisos$/);
  const [line] = lines;
  assert.ok(line);
  await tell(desk, line, numberAdded, {
    numberId: line.numberId,
    provider: "linked",
    phone: parsePhone(line.phone) ?? null,
    name: "One more",
    isPrimary: false,
  });
  await until(async () => (await waiting("waiting")) > 0, { label: "queued" });
  const due = (): Promise<{ quiet: boolean }[]> =>
    asSuperuser<{ quiet: boolean }>(
      desk.database,
      `select bool_and(due_at > now() + interval '30 s') as quiet from notifications
        where address = '${address}' and state = 'waiting'`,
    );
  await until(async () => (await due())[0]?.quiet === true, { label: "it waits for the pause" });
  assert.equal(mailsTo(desk, address).length, 1);
});

test("a number that is back in time is no news; one that was unlinked is told, with a page that dies on success", async () => {
  const line = await addLine(desk);
  await tell(desk, line, sessionDisconnected, disconnected("reconnecting"));
  await tell(desk, line, sessionConnected, {
    ...disconnected("reconnecting"),
    status: "connected",
    reason: "open",
    previousStatus: "connecting",
  });
  const other = await addLine(desk, { language: "en" });
  await tell(desk, other, sessionDisconnected, disconnected("logged_out"));
  await until(() => mailsTo(desk, other.address).length === 1, { label: "the mail" });
  const [mail] = mailsTo(desk, other.address);
  assert.match(mail?.subject ?? "", /^Salon: WhatsApp \+7.+ is disconnected$/);
  assert.match(mail?.text ?? "", /it was unlinked on the phone/);
  assert.equal(textsTo(desk, other.phone).length, 1);
  assert.deepEqual(await noticesOfLine(desk, line), []);
  const [, secret = ""] =
    /https:\/\/wa\.example\/whatsapp-pairing\.html\?company=\w+#(mly_l_\w+[\w-]*)/.exec(
      mail?.text ?? "",
    ) ?? [];
  const opened = await exchangeLink(desk.app, secret, 60_000);
  assert.deepEqual([opened?.numberId, opened?.scopes], [other.numberId, ["pair"]]);
  assert.ok(await exchangeLink(desk.app, secret, 60_000), "it can be opened again");
  const [token] = await asSuperuser<{ hours: number }>(
    desk.database,
    `select extract(epoch from expires_at - created_at) / 3600 as hours from api_tokens
      where company_no = ${other.companyNo} and kind = 'link' and is_lasting order by created_at limit 1`,
  );
  assert.equal(Math.round(Number(token?.hours)), 72);
  const [kept] = await asSuperuser<{ count: number }>(
    desk.database,
    `select (select count(*) from api_tokens t where t::text like '%${secret.slice(-20)}%')
      + (select count(*) from notifications n where n::text like '%${secret.slice(-20)}%') as count`,
  );
  assert.equal(Number(kept?.count), 0, "only its hash is kept");
  const phone = parsePhone(other.phone);
  assert.ok(phone);
  await tell(desk, other, pairingSucceeded, {
    attemptId: passkey().attemptId,
    method: "code",
    phone,
    otherPhone: false,
  });
  await until(async () => (await exchangeLink(desk.app, secret, 60_000)) === undefined, {
    label: "the link is dead",
  });
});

test("several things are told in one; a pause is told once, however often somebody asks", async () => {
  const line = await addLine(desk, { language: "pt" });
  const until30 = new Date(Date.now() + 1_800_000).toISOString();
  for (let count = 0; count < 3; count += 1) {
    await tell(desk, line, pairingRateLimited, { scope: "company", until: until30, minutes: 30 });
  }
  await tell(desk, line, numberAdded, {
    numberId: line.numberId,
    provider: "linked",
    phone: parsePhone(line.phone) ?? null,
    name: null,
    isPrimary: false,
  });
  await until(() => mailsTo(desk, line.address).length === 1, { label: "one mail" });
  assert.equal(mailsTo(desk, line.address)[0]?.subject, "WhatsApp: 2 avisos");
  await until(() => textsTo(desk, line.phone).length === 1, { label: "one SMS" });
  await tell(desk, line, pairingPasskeyRequired, passkey());
  await until(() => mailsTo(desk, line.address).length === 2, { label: "somebody waits for this" });
});

test("who is taken out of the settings before a notice goes gets none; the other does", async () => {
  const left = "left@salon.example";
  const line = await addLine(desk, { notificationEmail: left });
  await tell(desk, line, sessionDisconnected, disconnected("logged_out"));
  await until(async () => (await noticesOfLine(desk, line)).length === 3, { label: "queued" });
  await asSuperuser(
    desk.database,
    `update companies set notification_email = null, whatsapp_config = '{}' where company_no = ${line.companyNo}`,
  );
  await until(
    async () => (await noticesOfLine(desk, line)).every(({ state }) => state !== "waiting"),
    { label: "ended" },
  );
  const rows = await noticesOfLine(desk, line);
  const states = rows.map(({ address, channel, state }) =>
    [channel, address === left, state].join(),
  );
  assert.deepEqual(states.toSorted(), ["email,false,sent", "email,true,over", "sms,false,over"]);
  assert.equal(mailsTo(desk, left).length + textsTo(desk, line.phone).length, 0);
});

test("two notifiers send each notice once", async () => {
  const second = await startOne(desk.env);
  try {
    const line = await addLine(desk);
    for (let count = 0; count < 12; count += 1) {
      await tell(desk, line, pairingPasskeyRequired, passkey());
    }
    await until(
      async () =>
        (await noticesOfLine(desk, line)).filter(({ state }) => state === "sent").length === 24,
      { label: "all sent" },
    );
    assert.equal(mailsTo(desk, line.address).length, 12);
    assert.equal(textsTo(desk, line.phone).length, 12);
  } finally {
    await second.stop();
  }
});

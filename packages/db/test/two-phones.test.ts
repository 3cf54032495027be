/** People whom Meta names by another phone than they were written to: in Brazil, Mexico, Argentina. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import {
  contactMerged,
  messageQueued,
  messageReceived,
  messageSent,
  type MessageData,
  newContactId,
} from "@manyline/contracts";
import { until } from "@manyline/testkit";
import { FencedError, openDatabase, type Status } from "../src/index.ts";
import { AT, dataOf, lineOf, sendingIn, types, type Line } from "./message-support.ts";
import {
  addMetaNumber,
  entryOf,
  ingest,
  type MetaLine,
  textMessage,
  webhookOf,
} from "./meta-support.ts";
import { openWorld, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const { enqueue, claim, note } = sendingIn(() => world);

const DIALLED = "5511987654321";
const WA_ID = "551187654321";

type Both = Line & { meta: MetaLine };

/** A Meta number that `w1` owns. */
async function openMeta(company?: MetaLine["company"]): Promise<Both> {
  const meta = await addMetaNumber(world, company ? { company } : {});
  await takeAll(world, "w1");
  const { company: of, number } = meta;
  const { rows } = await world.superuser.query<{ epoch: string }>(
    "select epoch from number_fence where number_no = $1",
    [number.numberNo],
  );
  const { companyNo } = of;
  const fence = { companyNo, numberNo: number.numberNo, epoch: Number(rows[0]?.epoch) };
  const line = lineOf(world, { company: of, number, fence });
  return { ...line, source: { ...line.source, provider: "meta" }, meta };
}

/** Somebody writes to the number. */
async function say({ meta }: Both, from: string, name: string, user?: string) {
  await using db = openDatabase({ url: world.test.urls.ingest, applicationName: "test" });
  const contacts = [{ wa_id: from, user_id: user, profile: { name } }];
  const message = textMessage({ from, from_user_id: user });
  const { events } = await ingest(
    world,
    db,
    webhookOf([entryOf(meta, { contacts, messages: [message] })]),
  );
  return { types: types(events), data: dataOf(events, messageReceived) };
}

/** The number writes to a phone. */
async function write(line: Both, phone = DIALLED): Promise<MessageData> {
  return dataOf((await enqueue(line, { to: { phone }, provider: "meta" })).events, messageQueued);
}

/** Meta's answer: it has taken the message, and this is whom it is for. */
const taken = ({ messageId }: { messageId: string }, to = DIALLED, waId = WA_ID): Status => ({
  messageId,
  state: "sent",
  at: AT,
  providerMessageId: `wamid.${messageId}`,
  samePhones: [to, waId],
});

async function aliases({ source }: Line): Promise<string[][]> {
  const { rows } = await world.superuser.query<{ names: string[] }>(
    `select array_agg(a.value order by a.value) as names from contact_aliases a
      where a.company_no = $1 and a.kind = 'phone' group by a.contact_no order by a.contact_no`,
    [source.fence.companyNo],
  );
  return rows.map(({ names }) => names);
}

test("written to first: the answer under the other phone comes in the same chat, and nothing changes", async () => {
  const line = await openMeta();
  const queued = await write(line);
  const events = await note(line, taken(queued));
  assert.deepEqual(types(events), ["message.sent"]);
  const answer = await say(line, WA_ID, "Ana");
  assert.deepEqual(answer.types, ["message.received"]);
  assert.deepEqual(
    [answer.data.chat.id, answer.data.from.contactId],
    [queued.chat.id, queued.chat.contactId],
  );
  assert.deepEqual([answer.data.from.phone, answer.data.from.name], [DIALLED, "Ana"]);
  for (const phone of [WA_ID, DIALLED]) {
    const more = await write(line, phone);
    assert.deepEqual([more.chat.id, more.chat.phone], [queued.chat.id, DIALLED]);
  }
  assert.deepEqual(await aliases(line), [[WA_ID, DIALLED]]);
});

test("wrote first: the contact that was made for the other phone ends in theirs, with what waits", async () => {
  const line = await openMeta();
  const { data: wrote } = await say(line, WA_ID, "Ana", "BR.1");
  const queued = await write(line);
  assert.notEqual(queued.chat.id, wrote.chat.id, "nobody can know yet");
  const waiting = await write(line);
  const [first] = await claim(line);
  assert.equal(first?.phone, DIALLED);
  const events = await note(line, taken(queued));
  assert.deepEqual(types(events), ["contact.merged", "message.sent"]);
  const merged = dataOf(events, contactMerged);
  assert.deepEqual(
    [merged.contactId, merged.mergedContactId, merged.phone],
    [wrote.from.contactId, queued.chat.contactId, WA_ID],
  );
  assert.deepEqual(merged.chats, [{ chatId: queued.chat.id, into: wrote.chat.id }]);
  const { chat, recipient } = dataOf(events, messageSent);
  assert.deepEqual([chat?.id, recipient.phone], [wrote.chat.id, WA_ID]);
  const [second] = await claim(line);
  assert.deepEqual([second?.messageId, second?.phone], [waiting.messageId, WA_ID]);
  const answer = await say(line, WA_ID, "Ana", "BR.1");
  assert.equal(answer.data.chat.id, wrote.chat.id);
  assert.equal((await write(line)).chat.id, wrote.chat.id);
});

test("wrote before Meta's answer was noted: theirs ends in the one that was written to", async () => {
  const line = await openMeta();
  const queued = await write(line);
  const { data: wrote } = await say(line, WA_ID, "Ana", "BR.1");
  const merged = dataOf(await note(line, taken(queued)), contactMerged);
  assert.deepEqual(
    [merged.contactId, merged.mergedContactId, merged.phone, merged.userId, merged.name],
    [queued.chat.contactId, wrote.from.contactId, DIALLED, "BR.1", "Ana"],
  );
  assert.deepEqual(merged.chats, [{ chatId: wrote.chat.id, into: queued.chat.id }]);
  const answer = await say(line, WA_ID, "Ana M.", "BR.1");
  assert.deepEqual(
    [answer.data.chat.id, answer.data.from.phone, answer.data.from.name],
    [queued.chat.id, DIALLED, "Ana M."],
  );
});

test("at another number of the company they are one as well, in another company two", async () => {
  const line = await openMeta();
  const sister = await openMeta(line.meta.company);
  const foreign = await openMeta();
  const theirs = await write(foreign);
  const { data: wrote } = await say(sister, WA_ID, "Ana");
  await note(line, taken(await write(line)));
  const there = await write(sister);
  assert.deepEqual([there.chat.id, there.chat.contactId], [wrote.chat.id, wrote.from.contactId]);
  const other = await say(foreign, WA_ID, "Ana");
  assert.notEqual(other.data.chat.id, theirs.chat.id);
  assert.deepEqual(await aliases(foreign), [[DIALLED], [WA_ID]]);
});

test("who are known by different ids stay two; who does not own the number joins nobody", async () => {
  const line = await openMeta();
  const one = await say(line, DIALLED, "Ana", "BR.1");
  const other = await say(line, WA_ID, "Bia", "BR.2");
  const queued = await write(line);
  assert.deepEqual(types(await note(line, taken(queued))), ["message.sent"]);
  assert.deepEqual(await aliases(line), [[DIALLED], [WA_ID]]);
  assert.equal((await say(line, DIALLED, "Ana", "BR.1")).data.chat.id, one.data.chat.id);
  assert.equal((await say(line, WA_ID, "Bia", "BR.2")).data.chat.id, other.data.chat.id);

  const fenced = await openMeta();
  const message = await write(fenced);
  const { fence } = fenced.source;
  const former = { ...fenced, source: { ...fenced.source, fence: { ...fence, epoch: -1 } } };
  await assert.rejects(note(former, taken(message)), FencedError);
  assert.deepEqual(await aliases(fenced), [[DIALLED]]);
});

/** Meanwhile somebody else changes people of the company; `work` may end that. */
async function whileChanging(
  { source: { fence } }: Line,
  work: (end: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { superuser } = world;
  await superuser.query("begin");
  await superuser.query("select pg_advisory_xact_lock(hashtext('contacts'), $1)", [
    fence.companyNo,
  ]);
  try {
    await work(async () => void (await superuser.query("commit")));
  } finally {
    await superuser.query("rollback");
  }
}

test("what is known already waits for nobody who changes people of the company", async () => {
  const line = await openMeta();
  await note(line, taken(await write(line)));
  const queued = await write(line);
  await whileChanging(line, async () => {
    const isLate = delay(5_000, [], { ref: false });
    assert.deepEqual(types(await Promise.race([note(line, taken(queued)), isLate])), [
      "message.sent",
    ]);
  });
});

test("what is new waits for them, and sees what they did", async () => {
  const line = await openMeta();
  const { companyNo } = line.source.fence;
  const queued = await write(line);
  await whileChanging(line, async (end) => {
    const noted = note(line, taken(queued));
    await until(async () => {
      const { rows } = await world.superuser.query(
        "select from pg_locks where locktype = 'advisory' and not granted and objid = $1",
        [companyNo],
      );
      return rows.length > 0;
    });
    await world.superuser.query(
      `with c as (insert into contacts (company_no, contact_id, phone) values ($1, $3, $2)
          returning contact_no)
        insert into contact_aliases (company_no, kind, value, contact_no)
          select $1, 'phone', $2, contact_no from c`,
      [companyNo, WA_ID, newContactId()],
    );
    await end();
    assert.deepEqual(types(await noted), ["contact.merged", "message.sent"]);
  });
});

test("numbers of two companies that learn it at the same moment, from both sides, end with one contact each", async () => {
  const lines = [await openMeta(), await openMeta()];
  await Promise.all(
    lines.map(async (line) => {
      const messages = [await write(line), await write(line), await write(line)];
      await Promise.all([
        ...messages.map((message) => note(line, taken(message))),
        say(line, WA_ID, "Ana", "BR.1"),
        say(line, WA_ID, "Ana", "BR.1"),
      ]);
    }),
  );
  for (const line of lines) assert.deepEqual(await aliases(line), [[WA_ID, DIALLED]]);
});

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { contactMerged, messageReceived, type MessageData } from "@manyline/contracts";
import type { PersonInput } from "../src/index.ts";
import {
  dataOf,
  openLine,
  sisterLine,
  stranger,
  textFrom,
  types,
  type Line,
} from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

type Contact = {
  contact_id: string;
  phone: string | null;
  lid: string | null;
  name: string | null;
};

/** Everybody the company knows and is not merged, oldest first, with their aliases. */
async function people({ source }: Line): Promise<(Contact & { aliases: string[] })[]> {
  const { rows } = await world.superuser.query<Contact & { aliases: string[] }>(
    `select contact_id, phone, lid, name, array(select a.value from contact_aliases a
        where a.company_no = c.company_no and a.contact_no = c.contact_no order by 1) as aliases
      from contacts c where company_no = $1 and merged_into is null order by contact_no`,
    [source.fence.companyNo],
  );
  return rows;
}

const from = async (line: Line, person: PersonInput): Promise<MessageData> =>
  dataOf((await line.commit(textFrom(person))).events, messageReceived);

test("phone and LID of one stanza are one person, found by either", async () => {
  const line = await openLine(world);
  const anna = stranger();
  const { from: both, chat } = await from(line, anna);
  for (const part of [{ phone: anna.phone }, { lid: anna.lid }]) {
    const data = await from(line, part);
    assert.equal(data.from.contactId, both.contactId);
    assert.equal(data.chat.id, chat.id);
    assert.deepEqual([data.from.phone, data.from.lid], [anna.phone, anna.lid]);
  }
  assert.equal((await people(line)).length, 1);
});

test("what becomes known later is added; a new name is taken, none keeps the old", async () => {
  const line = await openLine(world);
  const anna = stranger({ name: "Anna" });
  await from(line, { phone: anna.phone, name: "Anna" });
  await from(line, { ...anna, name: "Anna K." });
  const data = await from(line, { lid: anna.lid, username: "anna.k" });
  assert.deepEqual(
    [data.from.phone, data.from.name, data.from.username],
    [anna.phone, "Anna K.", "anna.k"],
  );
  const [one, ...more] = await people(line);
  assert.deepEqual([more.length, one?.aliases.length], [0, 3]);
});

test("two who turn out to be one are merged into the older; so are their chats", async () => {
  const line = await openLine(world);
  const anna = stranger();
  const byPhone = await from(line, { phone: anna.phone });
  const byLid = await from(line, { lid: anna.lid, name: "Anna" });
  await from(line, { lid: anna.lid });
  await from(line, { lid: anna.lid });
  assert.notEqual(byPhone.from.contactId, byLid.from.contactId);
  const { events } = await line.commit(textFrom({ phone: anna.phone, lid: anna.lid }));
  assert.deepEqual(types(events), ["contact.merged", "message.received"]);
  const merged = dataOf(events, contactMerged);
  assert.deepEqual(
    [merged.contactId, merged.mergedContactId],
    [byPhone.from.contactId, byLid.from.contactId],
  );
  assert.deepEqual(merged.chats, [{ chatId: byLid.chat.id, into: byPhone.chat.id }]);
  const data = dataOf(events, messageReceived);
  assert.deepEqual([data.chat.id, data.from.name], [byPhone.chat.id, "Anna"]);
  assert.equal(events[1]?.envelope.seq, 4, "after the longer of the two");
  assert.equal((await people(line)).length, 1);
  assert.equal((await from(line, { lid: anna.lid })).chat.id, byPhone.chat.id);
});

test("a message is known again after its sender was merged", async () => {
  const line = await openLine(world);
  const anna = stranger();
  await from(line, { phone: anna.phone });
  const item = textFrom({ lid: anna.lid });
  await line.commit(item);
  const both = { phone: anna.phone, lid: anna.lid };
  const { events, repeated } = await line.commit({
    ...item,
    from: both,
    chat: { type: "direct", person: both },
  });
  assert.deepEqual([types(events), repeated], [["contact.merged"], 1]);
});

test("telling only that two names are one person merges as well", async () => {
  const line = await openLine(world);
  const anna = stranger();
  await from(line, { phone: anna.phone });
  await from(line, { lid: anna.lid });
  const person = { phone: anna.phone, lid: anna.lid };
  const { events } = await line.commit({ kind: "person", person });
  assert.deepEqual(types(events), ["contact.merged"]);
  assert.deepEqual((await line.commit({ kind: "person", person })).events, []);
});

test("a phone that was given to somebody else moves; nobody is merged", async () => {
  const line = await openLine(world);
  const [anna, bob] = [stranger(), stranger()];
  const before1 = await from(line, anna);
  const before2 = await from(line, { lid: bob.lid });
  const { events } = await line.commit(textFrom({ phone: anna.phone, lid: bob.lid }));
  assert.deepEqual(types(events), ["message.received"]);
  const now = dataOf(events, messageReceived);
  assert.deepEqual([now.from.contactId, now.from.phone], [before2.from.contactId, anna.phone]);
  const old = await from(line, { lid: anna.lid });
  assert.deepEqual([old.from.contactId, old.from.phone], [before1.from.contactId, null]);
  assert.equal((await from(line, { phone: anna.phone })).from.contactId, before2.from.contactId);
  // And to one whom nobody knew.
  const carl = stranger();
  const third = await from(line, { phone: anna.phone, lid: carl.lid });
  assert.notEqual(third.from.contactId, before2.from.contactId);
  assert.equal((await people(line)).length, 3);
});

test("a person is the same at every number of the company, also after a merge at one of them", async () => {
  const line = await openLine(world);
  const sister = await sisterLine(world, line);
  const anna = stranger();
  const one = await from(line, { phone: anna.phone });
  const two = await from(sister, { lid: anna.lid });
  assert.notEqual(one.chat.id, two.chat.id);
  await line.commit({ kind: "person", person: { phone: anna.phone, lid: anna.lid } });
  const after1 = await from(sister, { lid: anna.lid });
  assert.deepEqual(
    [after1.from.contactId, after1.chat.id],
    [one.from.contactId, two.chat.id],
    "the chat goes on",
  );
  const other = await openLine(world);
  const stranger1 = await from(other, { phone: anna.phone });
  assert.notEqual(stranger1.from.contactId, one.from.contactId, "of another company");
});

test("many batches at once, of two numbers, in any order: everybody is one, nothing deadlocks", async () => {
  const line = await openLine(world);
  const sister = await sisterLine(world, line);
  const crowd = Array.from({ length: 12 }, () => stranger());
  const part = (index: number): PersonInput => {
    const { phone, lid } = crowd[index % crowd.length] ?? stranger();
    return [{ phone, lid }, { phone }, { lid }][index % 3] ?? {};
  };
  const results = await Promise.all(
    Array.from({ length: 24 }, (_, batch) => {
      const order = Array.from({ length: 10 }, (_none, index) => (batch * 7 + index * 5) % 36);
      return (batch % 2 ? line : sister).commit(...order.map((index) => textFrom(part(index))));
    }),
  );
  await line.commit(...crowd.map((person) => ({ kind: "person" as const, person })));
  assert.equal((await people(line)).length, crowd.length);
  assert.ok(results.every(({ repeated }) => repeated === 0));
  for (const { source } of [line, sister]) {
    const { rows } = await world.superuser.query<{
      chat_no: string;
      seqs: string[];
      ids: string[];
    }>(
      `select chat_no, array_agg(seq order by seq) as seqs from messages where number_no = $1 group by 1`,
      [source.fence.numberNo],
    );
    for (const { seqs } of rows) assert.equal(new Set(seqs).size, seqs.length);
  }
});

test("seq of a chat grows without a gap in the order of the commits, whoever commits", async () => {
  const line = await openLine(world);
  const anna = stranger();
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      line.commit(...Array.from({ length: 1 + (index % 3) }, () => textFrom(anna))),
    ),
  );
  const { rows } = await world.superuser.query<{ seq: string; last: string }>(
    `select envelope->>'seq' as seq, (select seq from chats where number_no = $1) as last
      from whatsapp_events where number_no = $1 and type = 'message.received'
      order by (envelope->>'seq')::int`,
    [line.source.fence.numberNo],
  );
  assert.deepEqual(
    rows.map(({ seq }) => Number(seq)),
    rows.map((_row, index) => index + 1),
  );
  assert.equal(Number(rows[0]?.last), rows.length);
});

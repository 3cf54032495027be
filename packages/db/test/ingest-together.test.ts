/** Two processes that take webhooks of the same numbers at the same time, for many companies in each commit. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@manyline/testkit";
import { commitIngest, type IngestWebhook, openDatabase } from "../src/index.ts";
import {
  addMetaNumber,
  entryOf,
  type MetaLine,
  someId,
  textMessage,
  webhookOf,
} from "./meta-support.ts";
import { lineOf, sendingIn } from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

const PEOPLE = 4;
const ROUNDS = 24;

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const phoneOf = (person: number): string => `1555020100${person}`;

/** A number that has written to everybody who will write to it. */
async function openLine(of: Parameters<typeof addMetaNumber>[1] = {}) {
  const line = await addMetaNumber(world, of);
  const { company, number } = line;
  const source = lineOf(world, {
    company,
    number,
    fence: { companyNo: company.companyNo, numberNo: number.numberNo, epoch: 0 },
  });
  const { enqueue } = sendingIn(() => world);
  const sent: string[] = [];
  for (let person = 0; person < PEOPLE; person += 1) {
    const { messageId } = await enqueue(source, { to: { phone: phoneOf(person) } });
    sent.push(messageId);
  }
  return { ...line, sent };
}
type OpenLine = Awaited<ReturnType<typeof openLine>>;

/** Somebody writes to each number, somebody else reacts, of a third something becomes known: in every round others. */
function roundOf(lines: readonly OpenLine[], round: number): IngestWebhook {
  const turned = lines.map((_, place) => lines[(place + round) % lines.length] ?? assert.fail());
  const state = ["sent", "delivered", "read"][Math.floor(round / (ROUNDS / 3))];
  return webhookOf(
    turned.map((line) => {
      const message = textMessage({ from: phoneOf(round % PEOPLE) });
      return entryOf(line, {
        messages: [
          message,
          textMessage({
            from: phoneOf((round + 1) % PEOPLE),
            type: "reaction",
            text: undefined,
            reaction: { message_id: message.id, emoji: "👍" },
          }),
        ],
        statuses: [
          {
            id: `wamid.OUT.${line.sent[(round + 2) % PEOPLE]}`,
            biz_opaque_callback_data: line.sent[(round + 2) % PEOPLE],
            status: state,
            timestamp: "1763600000",
          },
          // Sent by somebody else.
          { id: `wamid.${round}`, status: "read", timestamp: "1763600000" },
        ],
      });
    }),
  );
}

async function deadlocks(): Promise<number> {
  const { rows } = await world.superuser.query<{ count: number }>(
    "select deadlocks::int as count from pg_stat_database where datname = current_database()",
  );
  return rows[0]?.count ?? 0;
}

test("the same webhooks at two processes, in other orders: each is stored once, and nothing deadlocks", async () => {
  const one = await openLine();
  const lines = [one, await openLine(), await openLine({ company: one.company }), await openLine()];
  const webhooks = Array.from({ length: ROUNDS }, (_, round) => roundOf(lines, round));
  const url = world.test.urls["ingest"];
  const pools = ["crossing one", "crossing two"].map((applicationName) =>
    openDatabase({ url, role: "ingest", applicationName, poolSize: 4 }),
  );
  const results = await Promise.all(
    pools.flatMap((db, process) =>
      [0, 1, 2].map(async (lane) => {
        const mine = webhooks.filter((_, round) => round % 3 === lane);
        if (process === 1) mine.reverse();
        const all = [];
        while (mine.length > 0) {
          all.push(
            await commitIngest(
              db,
              world.test.keyring,
              { service: "webhook-ingest" },
              mine.splice(0, 2),
            ),
          );
        }
        return all;
      }),
    ),
  );
  // Whoever leaves tells the statistics all that happened.
  await Promise.all(pools.map((db) => db.stop()));
  await until(
    async () => {
      const { rows } = await world.superuser.query(
        "select from pg_stat_activity where application_name like 'crossing %'",
      );
      return rows.length === 0;
    },
    { label: "the processes are gone" },
  );
  assert.equal(await deadlocks(), 0);

  const events = results.flat(2).flatMap(({ events: some }) => some);
  for (const line of lines) await isWhole(line, events.filter(isOf(line)));
  assert.equal(events.filter((event) => !lines.some((line) => isOf(line)(event))).length, 0);
});

type Told = {
  numberNo: number | null;
  companyNo: number;
  type: string;
  envelope: { seq?: unknown };
};
const isOf =
  ({ company, number }: MetaLine) =>
  (event: Told): boolean =>
    event.companyNo === company.companyNo &&
    (event.numberNo === number.numberNo || event.numberNo === null);

/** What is stored for a number is what was told, once, and each chat is numbered without a gap. */
async function isWhole({ number, company }: MetaLine, told: readonly Told[]): Promise<void> {
  const count = (type: string): number => told.filter((event) => event.type === type).length;
  assert.equal(count("message.received"), ROUNDS);
  assert.equal(count("message.reaction"), ROUNDS);
  assert.equal(count("contact.created"), 0);
  // Every round tells of one that was sent elsewhere; of ours, each goes through some states, the last is read.
  const { rows: messages } = await world.superuser.query<Record<"direction" | "state", string>>(
    "select direction, state from messages where company_no = $1 and number_no = $2",
    [company.companyNo, number.numberNo],
  );
  assert.equal(messages.filter(({ direction }) => direction === "in").length, ROUNDS);
  assert.deepEqual(
    messages.flatMap(({ direction, state }) => (direction === "out" ? [state] : [])),
    Array.from({ length: PEOPLE }, () => "read"),
  );
  const { rows: chats } = await world.superuser.query<{ seqs: string[]; last: string }>(
    `select array_agg(e.seq order by e.seq) as seqs, c.seq as last from chats c
      cross join lateral (select (envelope ->> 'seq')::bigint as seq from whatsapp_events e
        where e.company_no = c.company_no and e.number_no = c.number_no
          and e.envelope #>> '{data,chat,id}' = c.chat_id and e.envelope ->> 'seq' is not null) e
      where c.company_no = $1 and c.number_no = $2 group by c.chat_no, c.seq`,
    [company.companyNo, number.numberNo],
  );
  assert.equal(chats.length, PEOPLE);
  for (const { seqs, last } of chats) {
    assert.deepEqual(
      seqs.map(Number),
      Array.from({ length: Number(last) }, (_, place) => place + 1),
    );
  }
}

test("a phone that comes with somebody else goes over to them within one commit", async () => {
  const [line, other] = [await addMetaNumber(world), await addMetaNumber(world)];
  const db = world.open("ingest", 1);
  const phone = `1555${someId().slice(0, 7)}`;
  const from = (at: MetaLine, message: object): IngestWebhook =>
    webhookOf([entryOf(at, { messages: [textMessage({ from: phone, ...message })] })]);
  const commit = (...webhooks: IngestWebhook[]) =>
    commitIngest(db, world.test.keyring, { service: "webhook-ingest" }, webhooks);
  const contacts = ({ events }: Awaited<ReturnType<typeof commit>>): unknown[] =>
    events.flatMap(({ type, envelope }) => {
      const { from: person } = envelope.data as { from?: { contactId: string } };
      return type === "message.received" ? [person?.contactId] : [];
    });
  const [first] = contacts(await commit(from(line, { from_user_id: "US.1" })));
  const [foreign] = contacts(await commit(from(other, { from_user_id: "US.1" })));
  const [second, known, theirs] = contacts(
    await commit(from(line, { from_user_id: "US.2" }), from(line, {}), from(other, {})),
  );
  assert.notEqual(second, first);
  assert.equal(known, second, "who has the phone now");
  assert.equal(theirs, foreign, "in another company it is whose it was");
});

test("who is in the same commit as another company reaches nothing of that company's", async () => {
  const [victim, attacker] = [await openLine(), await openLine()];
  const db = world.open("ingest", 1);
  const commit = (...webhooks: IngestWebhook[]) =>
    commitIngest(db, world.test.keyring, { service: "webhook-ingest" }, webhooks);
  const from = phoneOf(0);
  const first = textMessage({ from });
  await commit(webhookOf([entryOf(victim, { messages: [first] })]));
  const change = (type: string, body: object) =>
    textMessage({ from, type, text: undefined, [type]: body });
  const { events } = await commit(
    webhookOf([
      entryOf(victim, { messages: [textMessage({ from, text: { body: "for the victim" } })] }),
      entryOf(attacker, {
        messages: [
          // The id of the other's message is nobody's here: this is a message of its own.
          { ...first, text: { body: "for the attacker" } },
          textMessage({ from, context: { id: first.id, from } }),
          change("reaction", { message_id: `${first.id}.theirs`, emoji: "👎" }),
          change("edit", {
            original_message_id: first.id,
            message: { type: "text", text: { body: "forged" } },
          }),
        ],
        statuses: victim.sent.map((messageId) => ({
          id: `wamid.${messageId}`,
          biz_opaque_callback_data: messageId,
          status: "failed",
          timestamp: "1763600000",
        })),
      }),
    ]),
  );
  assert.deepEqual(
    events.filter(isOf(victim)).map(({ type }) => type),
    ["message.received"],
  );
  const texts = async ({ company, number }: MetaLine): Promise<(string | null)[]> => {
    const { rows } = await world.superuser.query<{ text: string | null; state: string }>(
      `select text, state from messages where company_no = $1 and number_no = $2 order by message_id`,
      [company.companyNo, number.numberNo],
    );
    assert.ok(rows.every(({ state }) => state === "queued" || state === "received"));
    return rows.flatMap(({ text, state }) => (state === "received" ? [text] : []));
  };
  const [original, second, ...none] = await texts(victim);
  assert.deepEqual([second, none], ["for the victim", []]);
  assert.ok(original !== undefined && original !== "forged");
  // The attacker's own message of that id was edited, by whom it is from.
  assert.equal((await texts(attacker))[0], "forged");
});

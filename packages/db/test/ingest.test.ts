import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import {
  type MessageData,
  messageIdFrom,
  messageReceived,
  messageSent,
  normaliseMeta,
  parseMetaBody,
} from "@manyline/contracts";
import { sql } from "kysely";
import {
  askReplay,
  claimReplays,
  type Database,
  endReplays,
  housekeeping,
  type IngestWebhook,
  listUnroutable,
  setAside,
  type StoredEvent,
} from "../src/index.ts";
import {
  addMetaNumber,
  entryOf,
  ingest as ingestIn,
  loggedTypes,
  type MetaLine,
  someId,
  textMessage,
  webhookOf,
} from "./meta-support.ts";
import { dataOf, lineOf, sendingIn, types } from "./message-support.ts";
import { addCompany, openWorld, type World } from "./support.ts";

let world: World;
let db: Database;
before(async () => {
  world = await openWorld();
  db = world.open("ingest");
});
after(() => world[Symbol.asyncDispose]());

const ingest = (...webhooks: IngestWebhook[]) => ingestIn(world, db, ...webhooks);
const queued = async ({ company, number }: MetaLine): Promise<{ messageId: string }> => {
  const fence = { companyNo: company.companyNo, numberNo: number.numberNo, epoch: 0 };
  return sendingIn(() => world).enqueue(lineOf(world, { company, number, fence }));
};
const about = (events: readonly StoredEvent[], line: MetaLine): string[] =>
  events.filter(({ companyNo }) => companyNo === line.company.companyNo).map(({ type }) => type);

describe("messages", () => {
  test("are stored with person, chat and event, and a second time not at all", async () => {
    const line = await addMetaNumber(world);
    const webhook = webhookOf([
      entryOf(line, {
        contacts: [{ user_id: "US.77", profile: { name: "Zoë" } }],
        messages: [textMessage({ from: undefined, from_user_id: "US.77" })],
      }),
    ]);
    const { events, repeated, parked } = await ingest(webhook);
    assert.deepEqual(
      [types(events), repeated, parked],
      [["contact.created", "message.received"], 0, 0],
    );
    const data = dataOf(events, messageReceived);
    assert.deepEqual(
      [data.provider, data.from.userId, data.from.phone, data.from.name],
      ["meta", "US.77", null, "Zoë"],
    );
    assert.equal(
      events[1]?.natsSubject,
      `message.received.${line.company.companyId}.${line.number.numberId}`,
    );
    const again = await ingest(webhook, webhook);
    assert.deepEqual([again.events.length, again.repeated], [0, 2]);
  });

  test("of several companies in one webhook go to each its own, in one commit", async () => {
    const [one, other] = [await addMetaNumber(world), await addMetaNumber(world)];
    const sister = await addMetaNumber(world, { company: one.company, wabaId: one.wabaId });
    const lines = [one, other, sister];
    const entries = Array.from({ length: 60 }, (_, index) =>
      entryOf(lines[index % 3] ?? one, {
        messages: [textMessage({ from: `1555020${1000 + index}` })],
      }),
    );
    const { events } = await ingest(webhookOf(entries));
    for (const line of lines) {
      const subject = `message.received.${line.company.companyId}.${line.number.numberId}`;
      assert.equal(events.filter(({ natsSubject }) => natsSubject === subject).length, 20);
    }
    const { rows } = await world.superuser.query<{ count: number }>(
      "select count(*)::int as count from messages where company_no = $1",
      [other.company.companyNo],
    );
    assert.equal(rows[0]?.count, 20);
  });

  test("with a file keep where it is, sealed", async () => {
    const line = await addMetaNumber(world);
    const image = { id: "4711", mime_type: "image/jpeg", caption: "look", sha256: "c2hh" };
    await ingest(webhookOf([entryOf(line, { messages: [textMessage({ type: "image", image })] })]));
    const { rows } = await world.superuser.query<{
      media_id: string;
      source: Buffer;
      kind: string;
    }>("select media_id, source, kind from media where number_no = $1", [line.number.numberNo]);
    const [row] = rows;
    assert.ok(row && row.kind === "image" && !row.source.includes("4711"));
    const sealer = await world.test.keyring.sealer(world.worker, line.company.companyNo);
    const context = { numberNo: line.number.numberNo, kind: "media", key: row.media_id };
    assert.deepEqual(JSON.parse(sealer.open(context, row.source).toString()), { id: "4711" });
  });

  test("edits, reactions and deletions reach the message; echoes and history are told as such", async () => {
    const line = await addMetaNumber(world);
    const message = textMessage();
    await ingest(webhookOf([entryOf(line, { messages: [message] })]));
    const change = (type: string, body: object) =>
      textMessage({ type, text: undefined, [type]: body });
    const metadata = {
      phone_number_id: line.phoneNumberId,
      display_phone_number: "15550100001",
    };
    const file = textMessage({ type: "media_placeholder" });
    const { events } = await ingest(
      webhookOf([
        entryOf(line, {
          messages: [
            change("reaction", { message_id: message.id, emoji: "👍" }),
            change("edit", {
              original_message_id: message.id,
              message: { type: "text", text: { body: "new" } },
            }),
          ],
        }),
        {
          id: line.wabaId,
          changes: [
            {
              field: "smb_message_echoes",
              value: {
                metadata: { phone_number_id: line.phoneNumberId },
                message_echoes: [textMessage({ from: "15550100001", to: "15550100019" })],
              },
            },
            {
              field: "history",
              value: {
                metadata,
                history: [{ threads: [{ id: "15550100019", messages: [textMessage(), file] }] }],
              },
            },
          ],
        },
      ]),
    );
    assert.deepEqual(types(events), [
      "message.reaction",
      "message.edited",
      "message.echoed",
      "message.imported",
      "number.history_shared",
    ]);
    const { rows } = await world.superuser.query<{ text: string; reactions: object }>(
      "select text, reactions from messages where provider_message_id = $1",
      [message.id],
    );
    assert.equal(rows[0]?.text, "new");
    assert.deepEqual(Object.values(rows[0]?.reactions ?? {}), ["👍"]);

    // The file that was announced comes later, under the same id.
    const messages = [{ ...file, type: "image", image: { id: "1", mime_type: "image/png" } }];
    const value = { metadata, messages };
    const later = await ingest(
      webhookOf([{ id: line.wabaId, changes: [{ field: "history", value }] }]),
    );
    assert.deepEqual(types(later.events), ["message.imported"]);
  });

  test("what the number's own app changes is told as the number's, without a contactId", async () => {
    const line = await addMetaNumber(world);
    const [theirs, own] = [textMessage(), textMessage({ from: "15550100001", to: "15550100019" })];
    const reaction = { type: "reaction", text: undefined };
    const said = await ingest(
      webhookOf([
        entryOf(line, {
          messages: [
            theirs,
            textMessage({ ...reaction, reaction: { message_id: theirs.id, emoji: "❤️" } }),
          ],
        }),
      ]),
    );
    const echo = (type: string, body: object) =>
      textMessage({ from: "15550100001", to: "15550100019", type, text: undefined, [type]: body });
    const message = { type: "text", text: { body: "better" } };
    const value = {
      metadata: { phone_number_id: line.phoneNumberId },
      message_echoes: [
        own,
        echo("reaction", { message_id: theirs.id, emoji: "👍" }),
        echo("edit", { original_message_id: own.id, message }),
        echo("revoke", { original_message_id: own.id }),
      ],
    };
    const { events } = await ingest(
      webhookOf([{ id: line.wabaId, changes: [{ field: "smb_message_echoes", value }] }]),
    );
    assert.deepEqual(types(events), [
      "message.echoed",
      "message.reaction",
      "message.edited",
      "message.deleted",
    ]);
    const contactsOf = (some: readonly StoredEvent[]) =>
      some
        .filter(({ type }) => type.startsWith("message."))
        .map(({ envelope }) => (envelope.data as Pick<MessageData, "from">).from.contactId);
    assert.deepEqual(contactsOf(events), [null, null, null, null]);
    const [received, reacted] = contactsOf(said.events);
    assert.ok(typeof reacted === "string" && received === reacted, "theirs has theirs");
  });

  test("that come again after eight days, with whatever came with them, are no news", async () => {
    const line = await addMetaNumber(world);
    const message = textMessage();
    const said = webhookOf([
      entryOf(line, {
        messages: [
          message,
          textMessage({ type: "reaction", reaction: { message_id: message.id, emoji: "👍" } }),
        ],
        statuses: [{ id: "wamid.SENT", status: "read", recipient_id: "15550100019" }],
      }),
      { id: line.wabaId, changes: [{ field: "account_update", value: { event: "X" } }] },
    ]);
    assert.equal((await ingest(said)).events.length, 5);
    const then = new Date(Date.now() - 8.5 * 86_400_000);
    const { companyNo } = line.company;
    await world.superuser.query("update messages set message_id = $1 where company_no = $2", [
      messageIdFrom(then),
      companyNo,
    ]);
    await world.superuser.query("update seen set at = $1 where company_no = $2", [then, companyNo]);
    await housekeeping(world.worker);
    const again = await ingest(said);
    assert.deepEqual([types(again.events), again.repeated], [[], 4]);
  });

  test("that cannot be as they say are stored all the same", async () => {
    const line = await addMetaNumber(world);
    const odd = textMessage({
      id: `wamid.${"x".repeat(3_000)}`,
      from: "SENDER\0\ud800",
      timestamp: "99999999999",
      text: { body: "a\0b\ud800" },
    });
    const { events } = await ingest(webhookOf([entryOf(line, { messages: [odd, textMessage()] })]));
    assert.equal(events.filter(({ type }) => type === "message.received").length, 2);
    const again = await ingest(webhookOf([entryOf(line, { messages: [odd] })]));
    assert.equal(again.repeated, 1);
    const alike = { ...odd, id: `${odd.id}y` };
    const long = textMessage({ id: `wamid.${"z".repeat(400)}` });
    const next = await ingest(webhookOf([entryOf(line, { messages: [alike, long] })]));
    const ids = next.events.flatMap((event) =>
      event.type === "message.received" ? dataOf([event], messageReceived).providerMessageId : [],
    );
    assert.deepEqual([ids.length, ids[1]], [2, long.id]);
  });
});

describe("statuses", () => {
  const status = (line: MetaLine, ...all: object[]): IngestWebhook =>
    webhookOf([
      entryOf(line, {
        statuses: all.map((one) => Object.assign({ timestamp: "1763600000" }, one)),
      }),
    ]);

  test("of our messages go forward only, found by the id that was sent along", async () => {
    const line = await addMetaNumber(world);
    const sent = await queued(line);
    const wamid = `wamid.${sent.messageId}`;
    const along = { id: wamid, biz_opaque_callback_data: sent.messageId };
    const pricing = { billable: true, pricing_model: "PMP", category: "utility" };
    const first = await ingest(status(line, { ...along, status: "sent", pricing }));
    const told = dataOf(first.events, messageSent);
    assert.deepEqual([told.messageId, told.providerMessageId], [sent.messageId, wamid]);
    assert.equal(told.pricing?.isBillable, true);
    const read = await ingest(
      status(line, { id: wamid, status: "read" }, { id: wamid, status: "delivered" }),
    );
    assert.deepEqual(types(read.events), ["message.read"]);
    const played = await ingest(status(line, { id: wamid, status: "played" }));
    assert.deepEqual(types(played.events), ["message.played"]);
    assert.deepEqual((await ingest(status(line, { id: wamid, status: "failed" }))).events, []);
  });

  test("of messages that were not sent from here are told once each", async () => {
    const line = await addMetaNumber(world);
    const id = `wamid.${someId()}`;
    const errors = [{ code: 131047, title: "Re-engagement" }];
    const webhook = status(
      line,
      { id, status: "read", recipient_id: "15550100027" },
      { id, status: "delivered", recipient_user_id: "US.9" },
      { id, status: "failed", errors },
      { id, status: "failed", errors },
    );
    const { events, repeated } = await ingest(webhook);
    assert.deepEqual(types(events), ["message.read", "message.delivered", "message.failed"]);
    assert.equal(repeated, 1);
    const failed = events[2]?.envelope.data as { messageId: null; error: { code: string } };
    assert.deepEqual([failed.messageId, failed.error.code], [null, "131047"]);
    assert.equal((await ingest(webhook)).events.length, 0);
  });

  test("of another company's messages say nothing of that company", async () => {
    const [one, other] = [await addMetaNumber(world), await addMetaNumber(world)];
    const sent = await queued(one);
    const stolen = { id: "wamid.1", status: "failed", biz_opaque_callback_data: sent.messageId };
    const { events } = await ingest(status(other, stolen));
    assert.deepEqual(about(events, one), []);
    const { rows } = await world.superuser.query<{ state: string }>(
      "select state from messages where message_id = $1",
      [sent.messageId],
    );
    assert.equal(rows[0]?.state, "queued");
  });
});

describe("other news", () => {
  const account = (line: MetaLine, value: object, field: string, time = 1): IngestWebhook =>
    webhookOf([{ id: line.wabaId, time, changes: [{ field, value }] }]);

  test("about the account comes once for each company that has an active number there", async () => {
    const line = await addMetaNumber(world);
    await addMetaNumber(world, { company: line.company, wabaId: line.wabaId });
    const tenant = await addMetaNumber(world, { wabaId: line.wabaId });
    const waiting = await addMetaNumber(world, { wabaId: line.wabaId, isActive: false });
    const webhook = account(line, { event: "ACCOUNT_DELETED" }, "account_update");
    const { events } = await ingest(webhook);
    assert.deepEqual(
      events.map(({ natsSubject }) => natsSubject).toSorted(),
      [line, tenant].map(({ company }) => `account.changed.${company.companyId}._`).toSorted(),
    );
    assert.deepEqual(about(events, waiting), []);
    assert.equal((await ingest(webhook)).events.length, 0);
    const later = await ingest(account(line, { event: "ACCOUNT_DELETED" }, "account_update", 2));
    assert.equal(later.events.length, 2);
  });

  test("that shows a number goes to that number", async () => {
    const phone = `1555${someId().slice(0, 7)}`;
    const line = await addMetaNumber(world, { phone });
    await addMetaNumber(world, { company: line.company, wabaId: line.wabaId });
    const value = { display_phone_number: `+${phone}`, event: "FLAGGED" };
    const { events } = await ingest(account(line, value, "phone_number_quality_update"));
    assert.deepEqual(
      events.map(({ natsSubject }) => natsSubject),
      [`number.quality_changed.${line.company.companyId}.${line.number.numberId}`],
    );
  });

  test("about limits gives the owner of each number concerned one command, and no other number", async () => {
    const phone = `1555${someId().slice(0, 7)}`;
    const line = await addMetaNumber(world, { phone });
    const { company, wabaId } = line;
    const sister = await addMetaNumber(world, { company, wabaId });
    await addMetaNumber(world, { company, wabaId, isActive: false });
    await addMetaNumber(world, { company });
    const tenant = await addMetaNumber(world, { wabaId });
    const observed = async (): Promise<number[]> => {
      const { rows } = await world.superuser.query<{ number_no: number }>(
        "select number_no from commands where verb = 'observed' and company_no = any ($1) order by number_no",
        [[company.companyNo, tenant.company.companyNo]],
      );
      return rows.map((row) => Object.values(row)[0] ?? 0);
    };
    const own = line.number.numberNo;
    const quality = (event: string, time: number) =>
      account(line, { display_phone_number: phone, event }, "phone_number_quality_update", time);
    await ingest(account(line, { event: "ACCOUNT_DELETED" }, "account_update"));
    assert.deepEqual(await observed(), []);
    await ingest(quality("FLAGGED", 1));
    assert.deepEqual(await observed(), [own]);
    // It waits still.
    await ingest(quality("THROUGHPUT_UPGRADE", 2));
    assert.deepEqual(await observed(), [own]);
    const limit = { max_daily_conversations_per_business: "TIER_10K" };
    const webhook = account(line, limit, "business_capability_update");
    await ingest(webhook);
    const all = [line, sister, tenant].map(({ number }) => number.numberNo);
    assert.deepEqual(
      await observed(),
      all.toSorted((a, b) => a - b),
    );
    await world.superuser.query(
      "update commands set state = 'done', finished_at = clock_timestamp()",
    );
    await ingest(webhook);
    assert.equal((await observed()).length, 3);
  });

  test("about a person names our contact, and a new id goes on with the same one", async () => {
    const line = await addMetaNumber(world);
    const contacts = [{ user_id: "ES.1", profile: { name: "Noa" } }];
    const first = await ingest(
      webhookOf([
        entryOf(line, {
          contacts,
          messages: [textMessage({ from: undefined, from_user_id: "ES.1" })],
        }),
      ]),
    );
    const { contactId } = dataOf(first.events, messageReceived).from;
    const value = {
      metadata: { phone_number_id: line.phoneNumberId },
      user_id_update: [{ user_id: { previous: "ES.1", current: "ES.2" }, timestamp: "1763300002" }],
    };
    const changed = await ingest(account(line, value, "user_id_update"));
    const told = changed.events.find(({ type }) => type === "contact.changed");
    assert.ok(told);
    const next = await ingest(
      webhookOf([
        entryOf(line, { messages: [textMessage({ from: undefined, from_user_id: "ES.2" })] }),
      ]),
    );
    const { from } = dataOf(next.events, messageReceived);
    assert.deepEqual([from.contactId, from.userId, from.name], [contactId, "ES.2", "Noa"]);
  });

  test("a person who changes their number stays the person, and gets no stranger's chat", async () => {
    const line = await addMetaNumber(world);
    const digits = (n: number): string => `49170${someId().slice(0, 5)}${n}`;
    const [old, next, theirs] = [digits(1), digits(2), digits(3)];
    const say = (from: string, user?: string) =>
      ingest(webhookOf([entryOf(line, { messages: [textMessage({ from, from_user_id: user })] })]));
    const moved = (from: string, wa_id: string) =>
      ingest(
        webhookOf([
          entryOf(line, {
            messages: [
              textMessage({
                from,
                type: "system",
                text: undefined,
                system: { type: "user_changed_number", wa_id },
              }),
            ],
          }),
        ]),
      );
    const contactOf = (events: readonly StoredEvent[]) =>
      dataOf(events, messageReceived).from.contactId;
    const ann = contactOf((await say(old)).events);
    await moved(old, next);
    assert.equal(contactOf((await say(next)).events), ann);
    const ben = contactOf((await say(theirs, "DE.ben")).events);
    await say(old, "DE.ann");
    await moved(old, theirs);
    assert.equal(contactOf((await say(theirs, "DE.ann")).events), ann);
    assert.equal(contactOf((await say(digits(4), "DE.ben")).events), ben);
  });
});

describe("what belongs to nobody", () => {
  const listed = async ({ phoneNumberId }: { phoneNumberId: string }) =>
    (await listUnroutable(world.platform, 1_000)).filter(
      (row) => row.phoneNumberId === phoneNumberId,
    );

  const replay = async (): Promise<void> => {
    const replays = await claimReplays(db, 100);
    const webhooks = replays.map(({ payload }): IngestWebhook => {
      const body = parseMetaBody(payload.toString());
      return { webhook: normaliseMeta(body, new Date()), body, raw: payload, app: null };
    });
    await ingest(...webhooks);
    await endReplays(db, replays);
  };

  test("is kept with the others in the webhook told, counted, and told after the fix", async () => {
    const line = await addMetaNumber(world);
    const late = await addMetaNumber(world, { isActive: false });
    const message = textMessage();
    const webhook = webhookOf([
      entryOf(late, { messages: [message, textMessage()] }),
      entryOf(line, { messages: [textMessage()] }),
    ]);
    const first = await ingest(webhook);
    assert.equal(first.parked, 1);
    assert.deepEqual(about(first.events, line), ["contact.created", "message.received"]);
    await ingest(webhook);
    const [row] = await listed(late);
    assert.deepEqual([row?.reason, row?.changes, row?.pieces, row?.times], ["not_active", 1, 2, 2]);

    assert.equal(await askReplay(world.platform, late), 1);
    await replay();
    const [kept] = await listed(late);
    assert.deepEqual([kept?.times, await claimReplays(db, 10)], [2, []]);

    await world.superuser.query("update numbers set is_active = true where number_no = $1", [
      late.number.numberNo,
    ]);
    await askReplay(world.platform, late);
    await replay();
    assert.deepEqual(await listed(late), []);
    const told = await loggedTypes(world, late);
    assert.equal(told.filter((type) => type === "message.received").length, 2);
  });

  test("says why", async () => {
    const line = await addMetaNumber(world);
    const wrong = { wabaId: someId(), phoneNumberId: line.phoneNumberId };
    const nobody = { wabaId: someId(), phoneNumberId: someId() };
    const { events, parked } = await ingest(
      webhookOf([
        entryOf(wrong, { messages: [textMessage()] }),
        entryOf(nobody, { messages: [textMessage()] }),
        { id: someId(), changes: [{ field: "account_update", value: { event: "X" } }] },
        {
          changes: [
            { field: "messages", value: { statuses: [{ id: "wamid.OUT", status: "read" }] } },
          ],
        },
      ]),
    );
    assert.deepEqual([events.length, parked], [0, 4]);
    assert.deepEqual(
      (await listed(wrong)).map(({ reason }) => reason),
      ["wrong_account"],
    );
    assert.deepEqual(
      (await listed(nobody)).map(({ reason }) => reason),
      ["unknown_number"],
    );
    const all = await listUnroutable(world.platform, 1_000);
    const reasons = new Set(all.map(({ reason }) => reason));
    assert.ok(reasons.has("unknown_account") && reasons.has("nothing_named"));
  });

  test("what names no number is guessed for none of several; the only one in an account has it", async () => {
    const line = await addMetaNumber(world);
    const unnamed = (field: string, value: object): IngestWebhook =>
      webhookOf([{ id: line.wabaId, changes: [{ field, value }] }]);
    const said = () =>
      unnamed("messages", {
        messages: [textMessage()],
        statuses: [{ id: "wamid.SENT", status: "read", recipient_id: "15550100019" }],
      });
    const alone = await ingest(said());
    assert.deepEqual(about(alone.events, line), [
      "contact.created",
      "message.received",
      "message.read",
    ]);
    const tenant = await addMetaNumber(world, { wabaId: line.wabaId });
    const webhook = said();
    const { events, parked } = await ingest(webhook);
    assert.deepEqual([events.length, parked], [0, 1]);
    const rows = await listUnroutable(world.platform, 1_000);
    const row = rows.find(({ wabaId }) => wabaId === line.wabaId);
    assert.deepEqual([row?.reason, row?.pieces], ["number_not_named", 2]);
    const news = await ingest(unnamed("account_update", { event: "ACCOUNT_DELETED" }));
    assert.deepEqual(
      [about(news.events, line), about(news.events, tenant)],
      [["account.changed"], ["account.changed"]],
    );
  });

  test("a company's own app reaches that company's numbers and no others", async () => {
    const [victim, attacker] = [await addMetaNumber(world), await addMetaNumber(world)];
    const { companyNo, companyId } = attacker.company;
    const app = { companyNo, companyId };
    const { events, parked } = await ingest(
      webhookOf(
        [
          entryOf(victim, { messages: [textMessage()] }),
          { id: victim.wabaId, changes: [{ field: "account_update", value: { event: "X" } }] },
          entryOf(attacker, { messages: [textMessage()] }),
        ],
        app,
      ),
    );
    assert.equal(parked, 2);
    assert.deepEqual(about(events, victim), []);
    assert.deepEqual(about(events, attacker), ["contact.created", "message.received"]);
    const [row] = await listed(victim);
    assert.deepEqual([row?.reason, row?.appCompanyId], ["other_company", companyId]);
  });

  test("more of a change counts with it, except in a replay: what does not grow there would be deleted", async () => {
    const line = await addMetaNumber(world, { isActive: false });
    const webhook = webhookOf([entryOf(line, { messages: [textMessage()] })]);
    const more = { ...webhook, after: [0, 0] as const };
    await ingest(webhook);
    await ingest(more);
    assert.deepEqual(
      (await listed(line)).map(({ times }) => times),
      [1],
    );
    await askReplay(world.platform, { phoneNumberId: line.phoneNumberId });
    const replays = await claimReplays(db, 100);
    await ingest(more);
    await endReplays(db, replays);
    assert.deepEqual(
      (await listed(line)).map(({ times }) => times),
      [1],
    );
  });

  test("details that fit into no event are kept whole; so is a webhook that cannot be stored", async () => {
    const line = await addMetaNumber(world);
    const webhook = webhookOf([
      {
        id: line.wabaId,
        changes: [{ field: "account_update", value: { event: "X", blob: "b".repeat(300_000) } }],
      },
    ]);
    const { events, parked } = await ingest(webhook);
    assert.deepEqual([types(events), parked], [["account.changed"], 1]);
    await setAside(db, webhook);
    const { rows } = await world.superuser.query<{ reason: string; size: number }>(
      "select reason, length(payload) as size from unroutable where length(payload) > 250000 order by reason",
    );
    assert.deepEqual(
      rows.map(({ reason }) => reason),
      ["failed", "too_large"],
    );
  });
});

const MESSAGES = new Set(
  ["received", "echoed", "imported", "edited", "deleted", "reaction"].map(
    (kind) => `message.${kind}`,
  ),
);

test("file by file, each message and status of the fixtures is an event of its number", async () => {
  const folder = new URL("../../contracts/fixtures/meta/", import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
  assert.ok(files.length > 100);
  for (const file of files) {
    await world.superuser.query(
      "truncate seen, messages, chats, contacts, contact_aliases, unroutable, whatsapp_events",
    );
    await world.superuser.query("update numbers set is_active = false where is_active");
    const raw = readFileSync(new URL(file, folder));
    const body = parseMetaBody(raw.toString());
    const webhook = normaliseMeta(body, new Date());
    const pairs = new Map(
      webhook.items.map(({ route: { wabaId, phoneNumberId } }) => [
        `${wabaId} ${phoneNumberId}`,
        { wabaId, phoneNumberId },
      ]),
    );
    const company = await addCompany(world);
    for (const { wabaId, phoneNumberId } of pairs.values()) {
      const named = wabaId !== null && phoneNumberId !== null;
      if (named) await addMetaNumber(world, { company, wabaId, phoneNumberId });
    }
    await ingest({ webhook, body, raw, app: null });
    const { rows } = await world.superuser.query<{ type: string; envelope: object }>(
      "select type, envelope from whatsapp_events",
    );
    for (const { facts, route } of webhook.items) {
      if (!facts || facts.row === "change" || route.wabaId === null) continue;
      const found = rows.filter(({ type, envelope }) => {
        const isKind =
          facts.row === "status" ? type === `message.${facts.status}` : MESSAGES.has(type);
        return isKind && JSON.stringify(envelope).includes(JSON.stringify(facts.id));
      });
      assert.equal(found.length, 1, `${file} ${facts.row} ${facts.id}`);
    }
  }
});

test("role ingest writes for what it has routed to and for nothing else", async () => {
  const [line, other] = [await addMetaNumber(world), await addMetaNumber(world)];
  const insert = ({ company, number }: MetaLine) =>
    sql`insert into seen (company_no, number_no, hash) values (${company.companyNo}, ${number.numberNo}, '\\x00')`;
  await assert.rejects(insert(line).execute(db), /row-level security/);
  await db.transaction().execute(async (tx) => {
    await sql`select * from hold_routes(array[${line.wabaId}]::text[], array[${line.phoneNumberId}]::text[],
      array[null]::text[], array[null]::int[])`.execute(tx);
    await insert(line).execute(tx);
  });
  await assert.rejects(
    db.transaction().execute(async (tx) => {
      await sql`select * from hold_routes(array[${line.wabaId}]::text[], array[${line.phoneNumberId}]::text[],
        array[null]::text[], array[null]::int[])`.execute(tx);
      await insert(other).execute(tx);
    }),
    /row-level security/,
  );
  await assert.rejects(
    sql`update number_fence set login = login + 1`.execute(db),
    /row-level security/,
  );
  await assert.rejects(sql`select secrets from numbers`.execute(db), /permission denied/);
});

test("among ten thousand companies a message reads the rows of its own chat and person", async (t) => {
  const line = await addMetaNumber(world);
  const people = Array.from({ length: 1_000 }, (_, place) => `4917300${1_000 + place}`);
  const messages = people.map((from) => textMessage({ from }));
  await ingest(webhookOf([entryOf(line, { messages })]));
  // An average company has next to nothing then, as the planner sees it.
  for (const table of ["contacts", "contact_aliases", "chats", "messages"])
    await world.superuser.query(`vacuum analyze ${table}`);
  await world.superuser.query(
    `select pg_restore_attribute_stats('schemaname', 'public', 'relname', c.relname::text,
        'attname', a.attname::text, 'inherited', false, 'null_frac', 0::real, 'avg_width', 4,
        'n_distinct', 10000::real)
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relkind = 'r' and a.attname in ('company_no', 'number_no')
        and (c.relname in ('contacts', 'contact_aliases', 'chats') or c.relname ~ '^messages_[0-9]')`,
  );
  await using single = world.open("ingest", 1);
  const entriesRead = async (): Promise<number> => {
    await sql`select pg_stat_force_next_flush()`.execute(single);
    const { rows } = await world.superuser.query<{ read: string }>(
      `select sum(idx_tup_read) as read from pg_stat_user_indexes
        where relname in ('contacts', 'contact_aliases', 'chats') or relname like 'messages%'`,
    );
    return Number(rows[0]?.read);
  };
  const from = await entriesRead();
  const ten = people.slice(0, 10).map((person) => textMessage({ from: person }));
  await ingestIn(world, single, webhookOf([entryOf(line, { messages: ten })]));
  const read = (await entriesRead()) - from;
  t.diagnostic(`${read / 10} entries a message`);
  assert.ok(read < 400, `${read} entries for ten messages`);
});

/** The simulated Meta sends: in batches, twice, in any order, and again until it is taken. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asSuperuser } from "@manyline/db/testing";
import { type MetaSimulator, startMetaSimulator } from "@manyline/simulators/meta";
import { until } from "@manyline/testkit";
import {
  addLine,
  entryOf,
  type Line,
  metaBody,
  openRoom,
  post,
  type Room,
  SECRET,
  textMessage,
  VERIFY_TOKEN,
} from "./room.ts";

let room: Room;
let meta: MetaSimulator;
before(async () => {
  room = await openRoom();
  meta = await startMetaSimulator({ deliveries: { retryMs: 20, retryMostMs: 200 } });
});
after(async () => {
  await meta.close();
  await room[Symbol.asyncDispose]();
});

/** A number at Meta, and the same with us. */
async function open(appId: string): Promise<Line> {
  const { number, waba } = meta.world.addLine({ appId });
  return addLine(room, { wabaId: waba.id, phoneNumberId: number.id });
}

const told = (type: string): { company: string; id: string }[] =>
  room.seen.flatMap((event) =>
    event.type === type
      ? [
          {
            company: event.companyid,
            id: (event.data as { providerMessageId: string }).providerMessageId,
          },
        ]
      : [],
  );

test("the address proves itself, and everything arrives once, at the company it is for", async () => {
  const app = meta.world.addApp({ secret: SECRET });
  const lines = [await open(app.id), await open(app.id), await open(app.id)];
  const [first] = lines;
  const token = [...meta.world.tokens.values()][0]?.token ?? "";
  const subscribe = (verify_token: string) =>
    fetch(`${meta.url}/v26.0/${app.id}/subscriptions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ callback_url: `${room.url}/webhooks/meta`, verify_token }),
    });
  assert.equal((await subscribe("wrong")).status, 400);
  assert.equal((await subscribe(VERIFY_TOKEN)).status, 200);

  Object.assign(meta.deliveries.options, { duplicates: 0.5, isShuffled: true, most: 40 });
  const said = Array.from({ length: 300 }, (_, index) => {
    const line = lines[index % 3] ?? first;
    assert.ok(line);
    const person = `491700000${String(index % 20).padStart(3, "0")}`;
    return {
      company: line.companyId,
      id: meta.say(line.phoneNumberId, person, `message ${index} — ✓`),
    };
  });
  await until(
    () => meta.deliveries.waiting === 0 && told("message.received").length >= said.length,
    {
      deadlineMs: 20_000,
      label: "everything is taken and told",
    },
  );
  const byId = (one: { id: string }, other: { id: string }): number => (one.id < other.id ? -1 : 1);
  assert.deepEqual(told("message.received").toSorted(byId), said.toSorted(byId));
  assert.ok(meta.deliveries.attempts.length > said.length / 40, "some came twice");
});

test("a file, a hidden phone, an echo and news of the account arrive as what they are", async () => {
  const app = meta.world.addApp({ secret: SECRET, callbackUrl: `${room.url}/webhooks/meta` });
  const line = await open(app.id);
  const number = meta.world.numbers.get(line.phoneNumberId);
  assert.ok(number);
  const bo = meta.world.addPerson({ phone: "15550100020", username: "@bo", isPhoneHidden: true });
  const mine = (type: string) =>
    room.seen.find((event) => event.type === type && event.companyid === line.companyId)?.data as
      | Record<string, unknown>
      | undefined;
  const bytes = Buffer.from("picture");
  meta.sendFile(line.phoneNumberId, bo.phone, {
    type: "image",
    mimeType: "image/png",
    bytes,
    caption: "look",
  });
  const received = await until(() => mine("message.received"));
  const from = received["from"] as Record<string, unknown>;
  assert.equal(received["text"], "look");
  assert.deepEqual([from["phone"], from["username"]], [null, "@bo"]);
  assert.equal(
    from["userId"],
    meta.world.userIdOf(bo.phone, meta.world.wabaOf(number).portfolioId),
  );
  meta.webhooks.echo(number, bo, { type: "text", text: { body: "from the app" } });
  meta.change(line.phoneNumberId, "account_update", { event: "ACCOUNT_RESTRICTION" });
  assert.equal((await until(() => mine("message.echoed")))["text"], "from the app");
  assert.equal((await until(() => mine("account.changed")))["event"], "ACCOUNT_RESTRICTION");
});

type Path = readonly (string | number)[];

/** Every place in a value, and that of every member in it. */
function places(value: unknown, at: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [at];
  const inner = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [at, ...inner.flatMap(([key, one]) => places(one, [...at, key]))];
}

/** A copy with something else in one place. */
function withOdd(value: unknown, [key, ...rest]: Path, odd: unknown): unknown {
  if (key === undefined) return odd;
  const copy: Record<string | number, unknown> = Array.isArray(value)
    ? Object.assign([], value)
    : { ...Object(value) };
  copy[key] = withOdd(copy[key], rest, odd);
  return copy;
}

/** More than an event may be, each. */
const HUGE = "x".repeat(270_000);
const ODD: unknown[] = [
  "\0",
  "a\0\ud800",
  { "a\0\udfff": "\0" },
  HUGE,
  Array.from({ length: 23 }, () => ({ code: "\u0001".repeat(2_000) })),
];

test("whatever stands in whichever place, it is stored, and can be read", async () => {
  const line = await addLine(room);
  const failures: unknown[] = [];
  room.deps.reports.notStored = (error) => void failures.push(error);
  const status = {
    id: "wamid.A",
    status: "sent",
    timestamp: "1700000000",
    recipient_id: "15550100019",
    recipient_user_id: "US.1",
    pricing: { billable: true, pricing_model: "PMP", type: "regular", category: "utility" },
    errors: [{ code: 1, title: "t", error_data: { details: "d" } }],
  };
  const template = {
    event: "PAUSED",
    message_template_id: 1,
    message_template_name: "n",
    reason: "",
  };
  const reply = { name: "flow", response_json: '{"flow_token":"t","a":"\\u0000"}' };
  const entries = [
    entryOf(line, {
      contacts: [{ wa_id: "15550100019", profile: { name: "N" } }],
      messages: [textMessage()],
    }),
    entryOf(line, {
      messages: [
        textMessage({ type: "interactive", interactive: { type: "nfm_reply", nfm_reply: reply } }),
      ],
    }),
    entryOf(line, { messages: [textMessage({ type: "tomorrow", tomorrow: { a: [1] } })] }),
    entryOf(line, { statuses: [status] }),
    entryOf(line, { calls: [{ id: "c", event: "connect", from: "15550100019" }] }, "calls"),
    entryOf(line, template, "message_template_status_update"),
    entryOf(line, { display_phone_number: "15550100001", event: "FLAGGED" }, "security"),
    entryOf(
      line,
      { user_preferences: [{ wa_id: "15550100019", value: "stop" }] },
      "user_preferences",
    ),
  ];
  const waiting = entries.flatMap((entry) =>
    places(entry).flatMap((path, place) =>
      ODD.filter((odd, kind) => odd === HUGE || (place + kind) % 2 === 0).map((odd) =>
        withOdd(entry, path, odd),
      ),
    ),
  );
  const lanes = Array.from({ length: 16 }, async () => {
    for (let entry = waiting.pop(); entry !== undefined; entry = waiting.pop()) {
      const body = metaBody({ object: "whatsapp_business_account", entry: [entry] });
      assert.equal(await post(room, body), 200, body.toString().slice(0, 500));
    }
  });
  await Promise.all(lanes);
  assert.deepEqual(failures, []);
  const company = `company_no = ${line.companyNo}`;
  // Postgres takes what it cannot read again: an event of a number kept the number's check from being made.
  const [read] = await asSuperuser<{ events: number; originals: number; failed: number }>(
    room.database,
    `select count(e.envelope -> 'data' ->> 'at')::int as events, (select count(content ->> 'original')::int
       from messages where ${company}) as originals, (select count(*)::int from unroutable where reason = 'failed') as failed
     from whatsapp_events e where ${company}`,
  );
  assert.ok(read && read.events > 100 && read.originals > 0, JSON.stringify(read));
  assert.equal(read.failed, 0);
});

/** The simulated Meta sends: in batches, twice, in any order, and again until it is taken. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type MetaSimulator, startMetaSimulator } from "@manyline/simulators/meta";
import { until } from "@manyline/testkit";
import { addLine, type Line, openRoom, type Room, SECRET, VERIFY_TOKEN } from "./room.ts";

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

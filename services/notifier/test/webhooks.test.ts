/** Customers' webhooks, from the commit of an event to their own servers. */
import assert from "node:assert/strict";
import dns from "node:dns";
import { after, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { newNumberId, secretPairing } from "@manyline/contracts";
import { isSignedBy, PAIRING_CODE_EVENT } from "@manyline/contracts/webhooks";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import {
  addCompany,
  type Call,
  deliveriesOf,
  happen,
  openRoom,
  type Room,
  startEndpoint,
  subscribe,
} from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom();
});
after(() => room[Symbol.asyncDispose]());

const run = (statement: string) => asSuperuser(room.database, statement);
const idsOf = (calls: readonly Call[]) => calls.map(({ headers }) => headers["webhook-id"]);
const isSigned = (secret: string, { headers, body }: Call): boolean =>
  isSignedBy(secret, headers as Record<string, string>, Buffer.from(body), new Date());

test("an event arrives at those who asked for it: signed, with their own headers, once", async () => {
  await using endpoint = await startEndpoint();
  await using other = await startEndpoint();
  const company = await addCompany(room);
  const { secret, ...key } = await subscribe(room, company, endpoint.url, ["company.*"]);
  await subscribe(room, company, other.url, ["message.*"]);
  await subscribe(room, await addCompany(room), other.url);
  const id = await happen(room, company);
  await until(() => endpoint.calls.length > 0, { label: "the call" });
  const [call] = endpoint.calls;
  assert.ok(call && isSigned(secret, call));
  assert.equal(call.headers["webhook-id"], id);
  assert.equal(call.headers.authorization, "Bearer customer");
  assert.equal((JSON.parse(call.body) as { id: string }).id, id);
  await until(async () => (await deliveriesOf(room, key))[0]?.state === "delivered", {
    label: "settled",
  });
  assert.equal(other.calls.length, 0);
  assert.equal(endpoint.calls.length, 1);
});

test("what fails is tried again at once and then later, and arrives when the endpoint is back", async () => {
  await using endpoint = await startEndpoint((response) => response.writeHead(503).end());
  const company = await addCompany(room);
  const key = await subscribe(room, company, endpoint.url);
  const id = await happen(room, company);
  await until(() => endpoint.calls.length === 2, { label: "two tries" });
  // While a call is under way, this is the end of its claim: later.
  await until(
    async () => {
      const waits = Number((await deliveriesOf(room, key))[0]?.dueAt) - Date.now();
      return waits > 3_000 && waits < 5_600;
    },
    { label: "the third in 5 s" },
  );
  endpoint.answer = (response) => response.end();
  await run("update deliveries set due_at = now() where state = 'waiting'");
  await until(() => endpoint.calls.length === 3, { label: "the third" });
  assert.deepEqual(idsOf(endpoint.calls), [id, id, id]);
});

test("redirects, endless answers, hanging and private addresses are failures", async () => {
  await using inner = await startEndpoint();
  await using redirects = await startEndpoint((response) =>
    response.writeHead(307, { location: inner.url }).end(),
  );
  await using endless = await startEndpoint((response) => {
    const chunk = Buffer.alloc(64 * 1024);
    response.writeHead(200, { "content-length": 1024 ** 3 });
    const more = (): void => {
      while (!response.destroyed && response.write(chunk));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  });
  await using hangs = await startEndpoint(() => undefined);
  const company = await addCompany(room);
  const byUrl = {
    [redirects.url]: "answered 307",
    [endless.url]: "too_large",
    [hangs.url]: "timeout",
    // Whatever was judged when it was stored, it is judged again.
    "http://169.254.169.254/latest": "address",
    [`http://[::1]:${inner.port}/`]: "address",
  };
  const keys = await Promise.all(
    Object.keys(byUrl).map(async (url) => ({ url, key: await subscribe(room, company, url) })),
  );
  await happen(room, company);
  for (const { url, key } of keys) {
    await until(async () => ((await deliveriesOf(room, key))[0]?.attempts ?? 0) >= 2, {
      label: url,
    });
    await until(
      async () => {
        const [row] = await deliveriesOf(room, key);
        return (row?.error ?? `answered ${row?.status ?? "nothing"}`) === byUrl[url];
      },
      { label: `${url}: ${byUrl[url]}` },
    );
  }
  assert.equal(inner.calls.length, 0);
});

test("a name that leads elsewhere by the time of the call is refused, and nothing is called", async (t) => {
  await using inner = await startEndpoint();
  const resolveTo = (address: string): void => {
    const { prototype } = dns.promises.Resolver;
    t.mock.method(prototype, "resolve4", () => Promise.resolve([address]));
    t.mock.method(prototype, "resolve6", () => Promise.resolve([]));
  };
  // Where the guard is open here, the whole of loopback is not.
  resolveTo("127.0.0.2");
  const company = await addCompany(room);
  const key = await subscribe(room, company, `http://hooks.example:${inner.port}/in`);
  await happen(room, company);
  await until(async () => (await deliveriesOf(room, key))[0]?.error === "address", {
    label: "refused",
  });
  assert.equal(inner.calls.length, 0);
  t.mock.restoreAll();
  resolveTo("127.0.0.1");
  await run("update deliveries set due_at = now() where state = 'waiting'");
  await until(() => inner.calls.length === 1, { label: "the address that is judged well" });
});

test("a dead endpoint delays nobody else, and is called no more after its last try", async () => {
  await using dead = await startEndpoint(() => undefined);
  await using alive = await startEndpoint();
  const company = await addCompany(room);
  const key = await subscribe(room, company, dead.url);
  await subscribe(room, company, alive.url, ["company.*"]);
  for (let count = 0; count < 40; count += 1) await happen(room, company);
  await until(() => alive.calls.length === 40, { deadlineMs: 5_000, label: "the others" });
  await until(() => dead.calls.length > 0, { label: "it was tried" });
  dead.answer = (response) => response.writeHead(500).end();
  // A day later: it took nothing since the very first, which has only its last try left.
  await run(`update deliveries set attempts = 8, due_at = now() where subscription_id = '${key.subscriptionId}'
      and delivery_no = (select min(delivery_no) from deliveries where subscription_id = '${key.subscriptionId}')`);
  await run("update webhook_subscriptions set next_try_at = now()");
  const isOff = async (): Promise<boolean> =>
    (
      await asSuperuser<{ isEnabled: boolean }>(
        room.database,
        `select is_enabled from webhook_subscriptions where subscription_id = '${key.subscriptionId}'`,
      )
    )[0]?.isEnabled === false;
  await until(
    async () => {
      await run("update webhook_subscriptions set next_try_at = now() where is_enabled");
      return isOff();
    },
    { label: "disabled", deadlineMs: 15_000 },
  );
  const types = () => alive.calls.map(({ body }) => (JSON.parse(body) as { type: string }).type);
  await until(() => types().includes("company.webhook_disabled"), { label: "the company is told" });
  const told = alive.calls.find(({ body }) => body.includes("company.webhook_disabled"));
  assert.doesNotMatch(told?.body ?? "", /\/in/, "the host only");
});

test("an endpoint with a backlog gives way while another has something, and then gets all of it", async () => {
  await using loud = await startEndpoint();
  await using quiet = await startEndpoint();
  const key = await subscribe(room, await addCompany(room), loud.url);
  const other = await addCompany(room);
  await subscribe(room, other, quiet.url);
  const model = await happen(room, other);
  const over = new AbortController();
  const telling = (async () => {
    while (!over.signal.aborted) {
      await happen(room, other);
      await delay(20);
    }
  })();
  const { companyNo, subscriptionId } = key;
  await run(`with written as (
      insert into whatsapp_events (company_no, event_id, type, subject, envelope, created_at)
      select ${companyNo}, 'evt_loud' || n, type, subject, envelope, now() - interval '3 days'
      from whatsapp_events, generate_series(1, 300) n where event_id = '${model}' returning event_id, type
    ) insert into deliveries (company_no, subscription_id, event_id, type)
      select ${companyNo}, '${subscriptionId}', event_id, type from written`);
  try {
    await until(() => loud.calls.length >= 280, { label: "the backlog", deadlineMs: 30_000 });
  } finally {
    over.abort();
    await telling;
  }
  // 100 before it counts as a backlog, and what was under way then; from then on one each 3 ms at most.
  const tookMs = (loud.calls[279]?.at ?? 0) - (loud.calls[119]?.at ?? 0);
  assert.ok(tookMs >= 450, `${tookMs} ms for 160`);
  await until(() => loud.calls.length === 300, {
    label: "all of the backlog",
    deadlineMs: 30_000,
  });
  assert.equal(new Set(idsOf(loud.calls)).size, 300);
});

test("a pairing code goes to who asks for it by name, while it lives; nothing keeps it", async () => {
  await using endpoint = await startEndpoint((response, { body }) => {
    response.writeHead(endpoint.calls.length === 1 ? 500 : 200).end(body.slice(0, 0));
  });
  await using all = await startEndpoint();
  const company = await addCompany(room);
  const { companyId } = company;
  const { secret, ...key } = await subscribe(room, company, endpoint.url, [PAIRING_CODE_EVENT]);
  await subscribe(room, company, all.url);
  const code = "QZWX-CANY";
  const tell = (lifeMs: number) =>
    room.deps.bus.poke(
      secretPairing(companyId, newNumberId()),
      JSON.stringify({
        companyId,
        code,
        phoneNumber: "79001234567",
        expiresAt: new Date(Date.now() + lifeMs).toISOString(),
      }),
    );
  tell(60_000);
  await until(() => endpoint.calls.length === 2, { label: "the second try" });
  const [first, second] = endpoint.calls;
  assert.ok(second && isSigned(secret, second));
  assert.equal(first?.headers["webhook-id"], second.headers["webhook-id"]);
  const { type, data } = JSON.parse(second.body) as { type: string; data: Record<string, string> };
  assert.equal(type, PAIRING_CODE_EVENT);
  assert.equal(data["code"], code);
  assert.equal(data["phoneNumber"], "79001234567");
  await until(async () => (await deliveriesOf(room, key)).length === 1, { label: "noted" });
  const [row] = await deliveriesOf(room, key);
  assert.deepEqual([row?.state, row?.attempts, row?.type], ["delivered", 2, PAIRING_CODE_EVENT]);
  tell(-1);
  await until(async () => (await deliveriesOf(room, key)).length === 2, { label: "noted as late" });
  const [late] = await deliveriesOf(room, key);
  assert.deepEqual([late?.state, late?.attempts, late?.error], ["dead", 0, "too_late"]);
  assert.equal(endpoint.calls.length, 2);
  assert.equal(all.calls.length, 0);
  const [found] = await asSuperuser<{ count: number }>(
    room.database,
    `select (select count(*) from deliveries d where d::text like '%CANY%')
      + (select count(*) from whatsapp_events e where e::text like '%CANY%') as count`,
  );
  assert.equal(found?.count, 0);
});

test("a pairing code follows its webhook between two tries, and no call of it outlives the code", async () => {
  await using former = await startEndpoint();
  await using present = await startEndpoint(() => undefined);
  const company = await addCompany(room);
  const { companyId, companyNo } = company;
  const key = await subscribe(room, company, former.url, [PAIRING_CODE_EVENT]);
  const move = `update webhook_subscriptions set url = '${present.url}' where company_no = ${companyNo}`;
  former.answer = (response) => void run(move).then(() => response.writeHead(500).end());
  const expiresAt = new Date(Date.now() + 1_300).toISOString();
  const data = { companyId, code: "QZWX-CANY", phoneNumber: "79001234567", expiresAt };
  room.deps.bus.poke(secretPairing(companyId, newNumberId()), JSON.stringify(data));
  await until(async () => (await deliveriesOf(room, key)).length === 1, { label: "noted" });
  const [row] = await deliveriesOf(room, key);
  assert.deepEqual([row?.state, row?.attempts, row?.error], ["dead", 2, "timeout"]);
  assert.deepEqual([former.calls.length, present.calls.length], [1, 1]);
  assert.ok((row?.latencyMs ?? Infinity) < 1_000, `given up after ${row?.latencyMs} ms`);
});

test("what a notifier leaves behind is delivered by the next", async () => {
  await using endpoint = await startEndpoint();
  const company = await addCompany(room);
  const key = await subscribe(room, company, endpoint.url);
  const id = await happen(room, company);
  await until(() => endpoint.calls.length === 1, { label: "delivered" });
  await until(async () => (await deliveriesOf(room, key))[0]?.state === "delivered", {
    label: "settled",
  });
  // As after SIGKILL between the answer and its note: a claim that nobody settles.
  await run(`update deliveries set state = 'waiting', ended_at = null, due_at = now() + interval '300 ms'
    where subscription_id = '${key.subscriptionId}'`);
  await until(() => endpoint.calls.length === 2, { label: "again" });
  assert.deepEqual(idsOf(endpoint.calls), [id, id], "with the same id, by which it is known");
});

test("broken connections to Postgres and an empty JetStream lose nothing and repeat nothing", async () => {
  await using endpoint = await startEndpoint();
  const company = await addCompany(room);
  const key = await subscribe(room, company, endpoint.url);
  const ids = [await happen(room, company)];
  await until(async () => (await deliveriesOf(room, key))[0]?.state === "delivered", {
    label: "the first",
  });
  await run(
    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'manyline_notify'",
  );
  ids.push(await happen(room, company));
  await until(() => endpoint.calls.length === 2, { deadlineMs: 15_000, label: "the second" });
  await room.nats.wipe();
  // The log is published again into the new stream, what was delivered among it.
  ids.push(await happen(room, company));
  await until(() => endpoint.calls.length >= 3, { deadlineMs: 20_000, label: "the third" });
  await until(
    async () => (await deliveriesOf(room, key)).every(({ state }) => state === "delivered"),
    { label: "settled" },
  );
  assert.deepEqual(idsOf(endpoint.calls), ids);
});

/** On a NATS that enforces them, the permissions that the contracts make keep one company's flows from another. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  askFlow,
  companyPermissions,
  parseCompanyId,
  servicePermissions,
} from "@manyline/contracts";
import type { CompanyId, FlowRequest } from "@manyline/contracts";
import {
  addressGuard,
  type Bus,
  createBus,
  createClock,
  createSilentLogger,
} from "@manyline/runtime";
import { type NatsServer, startNats } from "@manyline/testkit";
import { FlowAsker } from "../src/flows/handlers.ts";

const idOf = (text: string): CompanyId => {
  const id = parseCompanyId(text);
  assert.ok(id);
  return id;
};
const [ACME, RIVAL] = [idOf("acme"), idOf("rival")];
const users = {
  ingest: servicePermissions("webhook-ingest"),
  acme: companyPermissions(ACME, { flows: true }),
  rival: companyPermissions(RIVAL, { flows: true }),
  reader: companyPermissions(ACME),
};

let nats: NatsServer;
const buses: Bus[] = [];
before(async () => {
  const list = Object.entries(users).map(([user, permissions]) => ({
    user,
    password: "pw",
    permissions,
  }));
  nats = await startNats({ config: `authorization { users = ${JSON.stringify(list)} }` });
});
after(async () => {
  await Promise.all(buses.map((bus) => bus.close()));
  await nats[Symbol.asyncDispose]();
});

async function connect(user: keyof typeof users, inboxPrefix?: string): Promise<Bus> {
  const bus = createBus({
    servers: nats.url.replace("nats://", `nats://${user}:pw@`),
    name: user,
    logger: createSilentLogger(),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  });
  buses.push(bus);
  assert.ok(await bus.waitConnected(5_000));
  return bus;
}
/** What was sent before is with the server. */
const settled = (bus: Bus) =>
  bus.request("nobody.there", "", { timeoutMs: 200 }).catch(() => undefined);

test("a company answers what it is asked, and nothing else; another neither hears nor answers", async () => {
  const [ingest, acme, rival] = [
    await connect("ingest"),
    await connect("acme", "_INBOX_acme"),
    await connect("rival", "_INBOX_rival"),
  ];
  const heard: string[] = [];
  const asker = new FlowAsker({
    bus: ingest,
    clock: createClock(),
    guard: addressGuard(),
    timeoutMs: 1_000,
  });
  const request: FlowRequest = {
    id: "flw_1",
    companyId: ACME,
    action: "INIT",
    version: "3.0",
    screen: null,
    data: {},
    flowToken: null,
    sent: null,
  };
  rival.subscribe(askFlow(ACME), (message) => {
    heard.push("rival");
    message.respond(JSON.stringify({ screen: "STOLEN", data: {} }));
  });
  await settled(rival);
  await assert.rejects(asker.ask({ kind: "nats" }, request), { failure: "absent" });
  acme.subscribe(askFlow(ACME), (message) => {
    heard.push("acme");
    message.respond(JSON.stringify({ screen: "A", data: {} }));
  });
  await settled(acme);
  assert.deepEqual(await asker.ask({ kind: "nats" }, request), { screen: "A", data: {} });
  assert.deepEqual(heard, ["acme"]);
});

test("a company's user publishes nothing of its own, whether it answers flows or not", async () => {
  const [ingest, acme, reader] = [
    await connect("ingest"),
    await connect("acme", "_INBOX_acme"),
    await connect("reader", "_INBOX_acme"),
  ];
  const forged: string[] = [];
  // Its own inboxes are all that webhook-ingest listens to: an answer made up is one to those.
  ingest.subscribe("_INBOX.forged", ({ data }) => void forged.push(Buffer.from(data).toString()));
  await settled(ingest);
  for (const [name, bus] of [
    ["acme", acme],
    ["reader", reader],
  ] as const) {
    bus.poke("_INBOX.forged", name);
    await settled(bus);
  }
  await settled(ingest);
  assert.deepEqual(forged, []);
});

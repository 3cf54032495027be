/** Flows over REST: keys, names and handlers of a company, and of nobody else. */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { after, before, test } from "node:test";
import { type Database, openDatabase, readFlowDesk } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { ADMIN_TOKEN, addCompany, call, openWorld, record } from "./support.ts";
import type { TestCompany, World } from "./support.ts";
import { numberNoOf, Owner } from "./owner.ts";

let world: World;
let owner: Owner;
let ingest: Database;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
  ingest = openDatabase({ url: world.database.urls.ingest, applicationName: "test" });
});
after(async () => {
  await ingest.stop();
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Json = Record<string, unknown>;
const of = (company: TestCompany) => {
  const base = `/api/whatsapp/companies/${company.id}`;
  return (method: string, path: string, body?: object) =>
    call(world, method, `${base}/${path}`, {
      token: company.token,
      ...(body === undefined ? {} : { body }),
    });
};
const desk = ({ id }: TestCompany) => readFlowDesk(ingest, world.deps.keyring, id);

test("a key is made once, replaced with an overlap, and its private part never shown", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  assert.deepEqual((await ask("GET", "flow-keys")).body["keys"], []);
  assert.equal((await ask("POST", "flow-keys/rotate", {})).body["code"], "FLOW_KEY_NOT_FOUND");
  const made = await ask("POST", "flow-keys");
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const first = record(made.body["key"]);
  assert.equal(first["retiresAt"], null);
  const { modulusLength } = createPublicKey(String(first["publicKey"])).asymmetricKeyDetails ?? {};
  assert.equal(modulusLength, 2_048);
  assert.equal((await ask("POST", "flow-keys")).body["code"], "FLOW_KEY_EXISTS");

  const rotated = await ask("POST", "flow-keys/rotate", { overlapHours: 2 });
  assert.equal(rotated.status, 201);
  const second = record(rotated.body["key"]);
  const listed = (await ask("GET", "flow-keys")).body["keys"] as Json[];
  assert.deepEqual(
    listed.map(({ id }) => id),
    [second["id"], first["id"]],
  );
  const left = Date.parse(String(listed[1]?.["retiresAt"])) - Date.now();
  assert.ok(left > 7_100_000 && left <= 7_200_000, `${left} ms`);
  assert.equal((await desk(company))?.keys.length, 2);
  assert.ok(!JSON.stringify([made.body, rotated.body, listed]).includes("PRIVATE"));

  assert.equal((await ask("DELETE", `flow-keys/${String(second["id"])}`)).status, 404);
  assert.equal((await ask("DELETE", `flow-keys/${String(first["id"])}`)).status, 200);
  assert.equal((await desk(company))?.keys.length, 1);
  for (let count = 0; count < 4; count += 1) {
    assert.equal((await ask("POST", "flow-keys/rotate", {})).status, 201);
  }
  assert.equal((await ask("POST", "flow-keys/rotate", {})).body["code"], "FLOW_KEYS_MANY");
  assert.equal((await ask("POST", "flow-keys/rotate", { overlapHours: 0 })).status, 201);
  const audited = await asSuperuser<{ action: string }>(
    world.database,
    "select distinct action from audit_log where action like 'flow_key.%' order by 1",
  );
  assert.deepEqual(
    audited.map(({ action }) => action),
    ["flow_key.created", "flow_key.ended", "flow_key.rotated"],
  );
});

test("which key Meta has is asked of the number's owner", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const place = { provider: "meta", wabaId: "800000000000002", phoneNumberId: "900000000000201" };
  const number = record((await ask("POST", "numbers", place)).body["number"]);
  const linked = record((await ask("POST", "numbers", {})).body["number"]);
  const path = `numbers/${String(number["id"])}/flow-key`;
  const verbs: string[] = [];
  const found = { state: "valid", keyId: `fky_${"0".repeat(32)}`, signatureStatus: "VALID" };
  owner.handler = ({ verb }) => {
    verbs.push(verb);
    return verb === "read_flow_key"
      ? { state: "done", result: found }
      : { state: "failed", error: { code: "META_REFUSED", graphCode: 190 } };
  };
  await owner.number(await numberNoOf(world, String(number["id"])));
  const shown = await ask("GET", path);
  assert.deepEqual([shown.status, shown.body], [200, { success: true, ...found }]);
  const refused = await ask("POST", path);
  assert.deepEqual(
    [refused.status, refused.body["code"], refused.body["graphCode"]],
    [502, "META_REFUSED", 190],
  );
  assert.deepEqual(verbs, ["read_flow_key", "upload_flow_key"]);
  assert.equal((await ask("GET", `numbers/${String(linked["id"])}/flow-key`)).status, 501);
  const other = of(await addCompany(world));
  assert.equal((await other("GET", path)).status, 404);
});

test("a name stands for a flow: for all by the operator, for one by the company", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const operator = (method: string, path: string, body?: object) =>
    call(world, method, `/api/whatsapp/flows${path}`, {
      token: ADMIN_TOKEN,
      ...(body === undefined ? {} : { body }),
    });
  const own = { name: "booking", flowId: "11", action: "navigate", screen: "FIRST" };
  const { name: _, ...body } = own;
  assert.deepEqual((await ask("PUT", "flows/booking", body)).body["flow"], own);
  assert.deepEqual((await ask("GET", "flows")).body["flows"], [own]);
  assert.equal((await operator("PUT", "/default", { flowId: "77" })).status, 200);
  const shared = { name: "default", flowId: "77", action: "data_exchange", screen: null };
  assert.deepEqual((await operator("GET", "")).body["flows"], [shared]);
  const mine = await call(world, "PUT", "/api/whatsapp/flows/default", {
    token: company.token,
    body: { flowId: "1" },
  });
  assert.equal(mine.status, 403);
  assert.equal((await ask("PUT", "flows/No Name", body)).status, 400);
  assert.equal((await ask("PUT", "flows/x", { flowId: "12; drop" })).status, 400);
  assert.equal((await ask("DELETE", "flows/booking")).status, 200);
  assert.equal((await ask("DELETE", "flows/booking")).body["code"], "FLOW_NOT_FOUND");
  assert.equal((await operator("DELETE", "/default")).status, 200);
  assert.equal((await operator("DELETE", "/default")).status, 404);
  const rival = of(await addCompany(world));
  assert.deepEqual((await rival("GET", "flows")).body["flows"], []);
});

test("a handler is NATS or an address, whose secret is shown once", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const nats = { success: true, kind: "nats", url: null };
  assert.deepEqual((await ask("GET", "flow-handler")).body, nats);
  for (const url of [
    "https://127.0.0.1/flows",
    "https://localhost/",
    "http://8.8.8.8/",
    "https://u:p@8.8.8.8/",
    "https://169.254.169.254/latest",
  ]) {
    const refused = await ask("PUT", "flow-handler", { kind: "https", url });
    assert.deepEqual([refused.status, refused.body["code"]], [422, "HANDLER_REFUSED"], url);
  }
  assert.equal((await ask("PUT", "flow-handler", { kind: "https" })).status, 400);
  const url = "https://8.8.8.8/flows";
  const set = await ask("PUT", "flow-handler", { kind: "https", url });
  const secret = String(set.body["secret"]);
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  assert.deepEqual((await desk(company))?.handler, { kind: "https", url, secret });
  assert.deepEqual((await ask("GET", "flow-handler")).body, { success: true, kind: "https", url });
  assert.deepEqual((await ask("PUT", "flow-handler", { kind: "nats" })).body, {
    ...nats,
    secret: null,
  });
  assert.equal((await ask("DELETE", "flow-handler")).status, 200);
  assert.deepEqual((await desk(company))?.handler, { kind: "nats" });
});

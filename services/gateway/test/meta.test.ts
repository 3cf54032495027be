/** Numbers of Meta's Cloud API over REST: their place and token go in, the token never comes out. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { normaliseMeta } from "@manyline/contracts";
import {
  claimReplays,
  commitIngest,
  openDatabase,
  readAccessToken,
  readMetaApp,
} from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { runService } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { buildDeps } from "../src/deps.ts";
import { startGateway } from "../src/service.ts";
import { ADMIN_TOKEN, addCompany, call, openWorld, record } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld({
    env: { META_DEFAULT_COMPANY: "default-company", META_ACCESS_TOKEN: "EAAofTheEnvironment" },
  });
});
after(() => world[Symbol.asyncDispose]());

const TOKEN = "EAAsecretSecretSecret";
const place = { provider: "meta", wabaId: "800000000000001", phoneNumberId: "900000000000101" };
const numbersOf = ({ id }: TestCompany): string => `/api/whatsapp/companies/${id}/numbers`;
const add = (company: TestCompany, body: object) =>
  call(world, "POST", numbersOf(company), { token: company.token, body });

test("a Meta number has a place and a token; the token is sealed and never shown", async () => {
  const company = await addCompany(world);
  const made = await add(company, { ...place, accessToken: TOKEN });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const number = record(made.body["number"]);
  assert.deepEqual(number["meta"], {
    wabaId: place.wabaId,
    phoneNumberId: place.phoneNumberId,
    isConfirmed: false,
    accessToken: "SET",
  });
  const listed = await call(world, "GET", numbersOf(company), { token: company.token });
  assert.ok(!JSON.stringify([made.body, listed.body]).includes(TOKEN));
  const [row] = await asSuperuser<{ company_no: number; number_no: number; secrets: Buffer }>(
    world.database,
    `select company_no, number_no, secrets from numbers where number_id = '${String(number["id"])}'`,
  );
  const found = Object.values(row ?? {});
  assert.ok(!JSON.stringify(row).includes(TOKEN));
  await using db = openDatabase({ url: world.database.urls.worker, applicationName: "test" });
  const token = await readAccessToken(db, world.deps.keyring, Number(found[0]), Number(found[1]));
  assert.equal(token, TOKEN);

  const path = `${numbersOf(company)}/${String(number["id"])}`;
  const changed = await call(world, "PATCH", path, {
    token: company.token,
    body: { phoneNumberId: "900000000000102" },
  });
  assert.equal(changed.status, 200);
  const shown = record(record(changed.body["number"])["meta"]);
  assert.deepEqual([shown["phoneNumberId"], shown["accessToken"]], ["900000000000102", "SET"]);
});

test("what is missing or does not belong is refused", async () => {
  const company = await addCompany(world);
  for (const [body, status] of [
    [{ provider: "meta" }, 400],
    [{ provider: "meta", wabaId: "1" }, 400],
    [{ ...place, wabaId: "12; drop" }, 400],
    [{ ...place, accessToken: "two words" }, 400],
    [{ provider: "linked", wabaId: "1" }, 400],
    [{ provider: "wpp" }, 501],
  ] as const) {
    assert.equal((await add(company, body)).status, status, JSON.stringify(body));
  }
});

test("a check asks the number's owner; without one it is said at once", async () => {
  const company = await addCompany(world);
  const made = record((await add(company, { ...place, accessToken: TOKEN })).body["number"]);
  const linked = record((await add(company, {})).body["number"]);
  const check = (number: Record<string, unknown>) =>
    call(world, "POST", `${numbersOf(company)}/${String(number["id"])}/check`, {
      token: company.token,
    });
  assert.equal((await check(linked)).status, 501);
  assert.deepEqual(
    [(await check(made)).status, (await check(made)).body["code"]],
    [503, "NO_OWNER"],
  );
});

test("each provider sends what it has", async () => {
  const company = await addCompany(world);
  const meta = record((await add(company, { ...place, accessToken: TOKEN })).body["number"]);
  const linked = record((await add(company, {})).body["number"]);
  const send = async (number: Record<string, unknown>, body: object): Promise<number> => {
    const path = `/api/whatsapp/sessions/${company.id}/messages?number=${String(number["id"])}`;
    return (
      await call(world, "POST", path, {
        token: company.token,
        body: { to: "+4917012345678", ...body },
      })
    ).status;
  };
  const template = { type: "template", template: { name: "visit", language: "en_US" } };
  assert.equal(await send(meta, template), 202);
  assert.equal(await send(meta, { type: "text", text: "hi" }), 202);
  assert.equal(await send(linked, template), 501);
  const poll = { type: "poll", poll: { name: "When?", options: ["a", "b"] } };
  assert.equal(await send(meta, poll), 501);
  assert.equal(await send(linked, poll), 202);
});

test("a company's own Meta app", async () => {
  const [company, other] = [await addCompany(world), await addCompany(world)];
  const path = `/api/whatsapp/companies/${company.id}/meta-app`;
  const body = { appId: "12345", appSecret: "own-secret-1", verifyToken: "own-token-1" };
  assert.equal((await call(world, "PUT", path, { token: other.token, body })).status, 404);
  const put = await call(world, "PUT", path, { token: company.token, body });
  assert.deepEqual([put.status, put.body["webhookPath"]], [200, `/webhooks/meta/${company.id}`]);
  await using db = openDatabase({ url: world.database.urls.ingest, applicationName: "test" });
  const read = () => readMetaApp(db, world.deps.keyring, company.id);
  assert.deepEqual((await read())?.secrets, ["own-secret-1"]);
  const gone = await call(world, "DELETE", path, { token: company.token });
  assert.equal(gone.body["removed"], true);
  assert.equal(await read(), undefined);
});

test("webhooks of nobody are listed, replayed and deleted by the operator alone", async () => {
  const company = await addCompany(world);
  await using db = openDatabase({ url: world.database.urls.ingest, applicationName: "test" });
  const metadata = { phone_number_id: "77" };
  const value = { metadata, messages: [{ id: "wamid.1", from: "49170", type: "text" }] };
  const body = {
    object: "whatsapp_business_account",
    entry: [{ id: "66", changes: [{ field: "messages", value }] }],
  };
  const webhook = normaliseMeta(body, new Date());
  const raw = Buffer.from(JSON.stringify(body));
  await commitIngest(db, world.deps.keyring, { service: "test" }, [
    { webhook, body, raw, app: null },
  ]);
  const base = "/api/whatsapp/unroutable";
  assert.equal((await call(world, "GET", base, { token: company.token })).status, 403);
  const list = await call(world, "GET", base, { token: ADMIN_TOKEN });
  const [row] = list.body["unroutable"] as Record<string, unknown>[];
  assert.deepEqual(
    [row?.["reason"], row?.["phoneNumberId"], row?.["pieces"]],
    ["unknown_number", "77", 1],
  );
  const replay = await call(world, "POST", `${base}/replay`, {
    token: ADMIN_TOKEN,
    body: { phoneNumberId: "77" },
  });
  assert.deepEqual([replay.status, replay.body["changes"]], [202, 1]);
  assert.equal((await claimReplays(db, 10)).length, 1);
  assert.equal(
    (await call(world, "POST", `${base}/delete`, { token: ADMIN_TOKEN, body: {} })).status,
    400,
  );
  const deleted = await call(world, "POST", `${base}/delete`, {
    token: ADMIN_TOKEN,
    body: { wabaId: "66" },
  });
  assert.equal(deleted.body["changes"], 1);
});

test("the usage of a number is counted by day; another company does not see it", async () => {
  const [company, other] = [await addCompany(world), await addCompany(world)];
  const own = { ...place, phoneNumberId: "900000000000901" };
  const number = record((await add(company, { ...own, accessToken: TOKEN })).body["number"]);
  await asSuperuser(
    world.database,
    `update numbers set is_active = true where number_id = '${String(number["id"])}'`,
  );
  await using db = openDatabase({ url: world.database.urls.ingest, applicationName: "test" });
  const pricing = { billable: true, pricing_model: "PMP", type: "regular", category: "utility" };
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const statuses = ["sent", "delivered", "read"].map((status) => ({
    id: "wamid.usage",
    status,
    timestamp,
    recipient_id: "15550100019",
    pricing,
  }));
  const metadata = { phone_number_id: own.phoneNumberId };
  const changes = [{ field: "messages", value: { metadata, statuses } }];
  const body = { object: "whatsapp_business_account", entry: [{ id: own.wabaId, changes }] };
  const webhook = normaliseMeta(body, new Date());
  const raw = Buffer.from(JSON.stringify(body));
  for (let time = 0; time < 2; time += 1) {
    await commitIngest(db, world.deps.keyring, { service: "test" }, [
      { webhook, body, raw, app: null },
    ]);
  }
  const path = `${numbersOf(company)}/${String(number["id"])}/usage`;
  const got = await call(world, "GET", path, { token: company.token });
  assert.equal(got.status, 200, JSON.stringify(got.body));
  assert.deepEqual(got.body["totals"], { priced: 1, delivered: 1, billable: 1 });
  assert.equal(got.body["portfolio"], null);
  const day = new Date(Number(timestamp) * 1_000).toISOString().slice(0, 10);
  const line = { day, category: "utility", kind: "regular", isBillable: true };
  assert.deepEqual(got.body["usage"], [{ ...line, priced: 1, delivered: 1 }]);
  const earlier = await call(world, "GET", `${path}?from=2020-01-01&to=2020-01-31`, {
    token: company.token,
  });
  assert.deepEqual(earlier.body["usage"], []);
  const asked = async (query: string, token = company.token): Promise<number> =>
    (await call(world, "GET", `${path}${query}`, { token })).status;
  assert.deepEqual([await asked("?from=2020-02-31"), await asked("", other.token)], [400, 404]);
});

test("the token of the environment is for the company that is named, and for no other", async () => {
  const made = await call(world, "POST", "/api/whatsapp/companies", {
    token: ADMIN_TOKEN,
    body: { id: "default-company", name: "Default" },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const other = await addCompany(world);
  await using db = openDatabase({ url: world.database.urls.worker, applicationName: "test" });
  const tokenOf = async (companyId: string, body: object): Promise<string | undefined> => {
    const answer = await call(world, "POST", `/api/whatsapp/companies/${companyId}/numbers`, {
      token: ADMIN_TOKEN,
      body,
    });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    assert.ok(!JSON.stringify(answer.body).includes("EAAofTheEnvironment"));
    const id = String(record(answer.body["number"])["id"]);
    const [row] = await asSuperuser<{ companyNo: number; numberNo: number }>(
      world.database,
      `select company_no, number_no from numbers where number_id = '${id}'`,
    );
    assert.ok(row);
    return readAccessToken(db, world.deps.keyring, row.companyNo, row.numberNo);
  };
  const at = (phoneNumberId: string) => ({ ...place, phoneNumberId });
  assert.equal(await tokenOf("default-company", at("900000000000701")), "EAAofTheEnvironment");
  assert.equal(await tokenOf(other.id, at("900000000000702")), undefined);
  const own = { ...at("900000000000703"), accessToken: TOKEN };
  assert.equal(await tokenOf("default-company", own), TOKEN);
  // As one that was given it before it was noted whose it is.
  const former = at("900000000000704");
  await tokenOf("default-company", { ...former, accessToken: "EAAofTheEnvironment" });
  const [early] = await asSuperuser<{ id: string }>(
    world.database,
    `update numbers set has_common_token = false where phone_number_id = '${former.phoneNumberId}'
      returning number_id as id`,
  );
  const patched = await call(
    world,
    "PATCH",
    `/api/whatsapp/companies/default-company/numbers/${early?.id}`,
    { token: ADMIN_TOKEN, body: { accessToken: "EAAofTheEnvironment" } },
  );
  assert.equal(patched.status, 200);

  // Started again, with another one.
  const { config, logger } = world.deps;
  const meta = { ...config.meta, defaultToken: "EAAanotherOfTheEnvironment" };
  const deps = buildDeps({ ...config, meta }, logger);
  const again = await runService({
    name: "gateway",
    logger,
    start: async (scope) => void (await startGateway(deps, scope)),
  });
  try {
    const tokens = async () => {
      const rows = await asSuperuser<{ companyNo: number; numberNo: number }>(
        world.database,
        `select company_no, number_no from numbers where phone_number_id like '90000000000070_'
          order by phone_number_id`,
      );
      return Promise.all(
        rows.map((row) => readAccessToken(db, world.deps.keyring, row.companyNo, row.numberNo)),
      );
    };
    await until(async () => (await tokens())[0] === meta.defaultToken, {
      label: "the other token",
    });
    const common = meta.defaultToken;
    assert.deepEqual(await tokens(), [common, undefined, TOKEN, common]);
  } finally {
    await again.stop();
  }
});

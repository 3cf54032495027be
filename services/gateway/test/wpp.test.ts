/** `POST …/wpp`: which number it means, what its owner is asked, and what is answered and logged. */
import assert from "node:assert/strict";
import { after, afterEach, before, mock, test } from "node:test";
import { createToken, getCompany, inTransaction } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { type Handler, Owner } from "./owner.ts";
import { addCompany, addNumber, call, openWorld, record } from "./support.ts";
import type { Answer, TestCompany, World } from "./support.ts";

let world: World;
let owner: Owner;
before(async () => {
  world = await openWorld();
  owner = await new Owner(world).start();
});
after(async () => {
  await owner[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

type Asked = { branch: string; subOrgId: string; replaces: string | null; numberNo: number };
let asked: Asked[] = [];
const RESULT = { session: "0000000000001", apiKey: "k_samp••••••0001", status: "starting" };
const answering =
  (result: object = RESULT): Handler =>
  ({ verb, args, numberNo }) => {
    if (verb !== "open_wpp") return { state: "done", result: { wasLinked: false, told: false } };
    asked.push({ ...(args as Asked), numberNo });
    return { state: "done", result };
  };
afterEach(() => {
  asked = [];
  mock.restoreAll();
});

const pathOf = ({ id }: TestCompany): string => `/api/whatsapp/sessions/${id}/wpp`;
const post = (company: TestCompany, body: unknown = {}, query = ""): Promise<Answer> =>
  call(world, "POST", `${pathOf(company)}${query}`, { token: company.token, body });
const rows = async ({ id, token }: TestCompany): Promise<Record<string, unknown>[]> => {
  const path = `/api/whatsapp/companies/${id}/numbers`;
  const { body } = await call(world, "GET", path, { token });
  return (body["numbers"] as unknown[]).map(record);
};

/** A company whose shard has an owner. */
async function served(): Promise<TestCompany> {
  const company = await addCompany(world);
  await until(async () => {
    const { status } = await call(
      world,
      "POST",
      `/api/whatsapp/sessions/${company.id}/wpp?number=num_x`,
      {
        token: company.token,
      },
    );
    const owned = await asSuperuser(
      world.database,
      `select 1 from companies c join shard_leases l on l.shard_id = c.shard_id
        where c.company_id = '${company.id}' and l.owner is not null and l.expires_at > clock_timestamp()`,
    );
    return status === 404 && owned.length === 1;
  });
  return company;
}

test("an empty body makes the first number and then means it; add_new always makes another", async () => {
  const company = await served();
  owner.handler = answering();
  const info = mock.method(world.deps.logger, "info");
  const first = await post(company);
  assert.equal(first.status, 200, JSON.stringify(first.body));
  const { numberId, ...answer } = first.body;
  assert.deepEqual(answer, { success: true, ...RESULT });
  assert.equal((await post(company)).body["numberId"], numberId);
  const added = await post(company, { add_new: true, force_recreate: true });
  assert.notEqual(added.body["numberId"], numberId);
  assert.equal((await post(company, { force_recreate: true })).body["numberId"], numberId);
  assert.deepEqual(
    asked.map(({ branch }) => branch),
    ["reconnect", "reconnect", "add", "recreate"],
  );
  for (const { subOrgId } of asked) {
    assert.match(subOrgId, new RegExp(`^${company.id}__wpp__[0-9a-f]{8}$`));
  }
  assert.equal(new Set(asked.map(({ subOrgId }) => subOrgId)).size, 4);
  const stored = await rows(company);
  assert.deepEqual(
    stored.map(({ provider, name, isPrimary }) => [provider, name, isPrimary]),
    [
      ["wpp", "WhatsApp (WPP)", true],
      ["wpp", "WhatsApp (WPP)", false],
    ],
  );
  const lines = info.mock.calls.flatMap(({ arguments: [fields, text] }) =>
    record(fields)["event"] === "wpp.branch" ? [String(text)] : [],
  );
  assert.deepEqual(lines, [
    "no WhatsApp number yet: creating the first one",
    "reconnecting the existing WhatsApp number",
    "add_new=true: creating new WhatsApp number",
    "force_recreate=true: creating new credentials for the existing WhatsApp number",
  ]);
});

test("only the literal true counts, and a body that cannot be read is an empty one", async () => {
  const company = await served();
  owner.handler = answering();
  await post(company);
  for (const body of [
    "{",
    "",
    "null",
    "[true]",
    '"add_new"',
    '{"add_new":"true"}',
    '{"add_new":1}',
    '{"force_recreate":"true"}',
    '{"__proto__":{"add_new":true}}',
  ]) {
    for (const type of ["application/json", "text/plain"]) {
      const answer = await fetch(`${world.url}${pathOf(company)}`, {
        method: "POST",
        headers: { authorization: `Bearer ${company.token}`, "content-type": type },
        body,
      });
      assert.equal(answer.status, 200, `${body} as ${type}`);
    }
  }
  const bare = { method: "POST", headers: { authorization: `Bearer ${company.token}` } };
  assert.equal((await fetch(`${world.url}${pathOf(company)}`, bare)).status, 200);
  assert.deepEqual(new Set(asked.map(({ branch }) => branch)), new Set(["reconnect"]));
  assert.equal((await rows(company)).length, 1);
});

test("two calls at once make one number", async () => {
  const company = await served();
  owner.handler = answering();
  const answers = await Promise.all([post(company), post(company), post(company)]);
  assert.equal(new Set(answers.map(({ body }) => body["numberId"])).size, 1);
  assert.equal((await rows(company)).length, 1);
  assert.equal(new Set(asked.map(({ numberNo }) => numberNo)).size, 1);
});

test("beside a number of another kind it is not primary; a named number must be of this kind", async () => {
  const company = await served();
  owner.handler = answering();
  const linked = await addNumber(world, company);
  assert.equal(
    (await post(company, {}, `?number=${linked}`)).body["code"],
    "PROVIDER_NOT_SUPPORTED",
  );
  const { body } = await post(company);
  assert.equal(
    (await rows(company)).find(({ id }) => id === body["numberId"])?.["isPrimary"],
    false,
  );
  const second = await post(company, { add_new: true });
  await post(company, {}, `?number=${String(second.body["numberId"])}`);
  assert.equal(asked.at(-1)?.numberNo, asked.at(-2)?.numberNo);
});

test("what the platform refuses for good leaves no number behind, and one that was there as it was", async () => {
  const company = await served();
  for (const [code, status] of [
    ["WPP_KEY_REUSED", 409],
    ["WPP_REFUSED", 502],
    ["WPP_NOT_CONFIGURED", 503],
  ] as const) {
    owner.handler = () => ({ state: "failed", error: { code } });
    const refused = await post(company, { add_new: true });
    assert.deepEqual([refused.status, refused.body["code"]], [status, code]);
    assert.deepEqual(await rows(company), []);
  }
  owner.handler = answering();
  await post(company);
  owner.handler = () => ({ state: "failed", error: { code: "WPP_KEY_REUSED" } });
  assert.equal((await post(company, { force_recreate: true })).status, 409);
  assert.equal((await rows(company)).length, 1);
});

test("a platform that is away is an answer with its reason; the number can be asked for again", async () => {
  const company = await served();
  owner.handler = answering({ session: null, apiKey: null, status: "error", error: "no answer" });
  const away = await post(company);
  const { numberId, ...answer } = away.body;
  assert.deepEqual(answer, {
    success: false,
    session: null,
    apiKey: null,
    status: "error",
    error: "no answer",
  });
  owner.handler = answering({ ...RESULT, status: "qr_issued", qrcode: "2@ref" });
  const again = await post(company);
  assert.deepEqual(
    [again.body["numberId"], again.body["status"], again.body["qrcode"]],
    [numberId, "qr_issued", "2@ref"],
  );
});

test("an owner that does not answer in time is not waited for: the number is there, and starting", async () => {
  const company = await served();
  owner.handler = () => undefined;
  const { status, body } = await post(company);
  const { numberId, ...answer } = body;
  assert.deepEqual(
    [status, answer],
    [202, { success: true, session: null, apiKey: null, status: "starting" }],
  );
  assert.deepEqual(
    (await rows(company)).map(({ id }) => id),
    [numberId],
  );
});

test("a stale session is shown, and force_recreate mends the number that is named and no other", async () => {
  const company = await served();
  owner.handler = answering();
  const [first, second] = [await post(company), await post(company, { add_new: true })].map(
    ({ body }) => String(body["numberId"]),
  );
  await asSuperuser(
    world.database,
    `update numbers set settings = '{"wppAccountNumber":"client_system"}' where number_id = '${second}'`,
  );
  const sessions = (await rows(company)).map(({ id, wpp }) => [id, record(wpp)["session"]]);
  assert.deepEqual(sessions, [
    [first, null],
    [second, "client_system"],
  ]);
  asked = [];
  const answer = await post(company, { force_recreate: true }, `?number=${second}`);
  assert.equal(answer.body["numberId"], second);
  assert.deepEqual(
    asked.map(({ branch, replaces }) => [branch, replaces]),
    [["recreate", "client_system"]],
  );
});

test("without an owner nothing is made; who may read or pair only, may not do this", async () => {
  const company = await served();
  await owner.stop();
  await until(async () => (await post(company, { add_new: true })).body["code"] === "NO_OWNER");
  assert.deepEqual(await rows(company), []);
  const { secret } = await inTransaction(world.deps.platformDb, async (tx) => {
    const { companyNo } = (await getCompany(tx, company.id)) ?? { companyNo: 0 };
    return createToken(tx, {
      companyNo,
      name: "test",
      scopes: ["read", "pair", "send"],
      kind: "api",
    });
  });
  const limited = await call(world, "POST", pathOf(company), { token: secret, body: {} });
  assert.deepEqual([limited.status, limited.body["code"]], [403, "FORBIDDEN"]);
  assert.equal((await call(world, "POST", pathOf(company), { body: {} })).status, 401);
});

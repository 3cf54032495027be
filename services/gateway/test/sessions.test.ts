import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { StatusAnswer } from "@manyline/contracts";
import { Compile } from "typebox/compile";
import { setRestriction } from "@manyline/db";
import type { CommandRow } from "@manyline/db";
import { Owner, numberNoOf } from "./owner.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld, record } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld({ env: { TIME_SCALE: "100" } });
});
after(() => world[Symbol.asyncDispose]());

const isStatus = Compile(StatusAnswer);
const session = (company: TestCompany, action: string): string =>
  `/api/whatsapp/sessions/${company.id}/${action}`;

async function status(company: TestCompany, query = ""): Promise<Record<string, unknown>> {
  const answer = await call(world, "GET", session(company, `status${query}`), {
    token: company.token,
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.ok(isStatus.Check(answer.body), JSON.stringify(isStatus.Errors(answer.body)));
  return answer.body;
}

/** Shows a code for the phone of the command, as a worker that WhatsApp has answered. */
async function showCode(command: CommandRow, owner: Owner, code = "ABCDEFGH") {
  const phone = String(command.args["phone"]);
  const attemptId = await owner.startAttempt(command.numberNo, "code", phone);
  const issuedAt = new Date();
  const expiresAt = new Date(Date.now() + 5_000);
  await owner.changeAttempt(command.numberNo, attemptId, {
    state: "code",
    issuedAt,
    expiresAt,
    codesLeft: 4,
    secret: { kind: "code", value: code },
  });
  return { state: "done", result: { attemptId } } as const;
}

test("what WhatsApp does not let a number send is in its status, until when", async () => {
  const company = await addCompany(world);
  const numberNo = await numberNoOf(world, await addNumber(world, company));
  await using owner = await new Owner(world).start();
  await owner.link(numberNo, "79001234599");
  assert.equal((await status(company))["restriction"], null);
  const since = new Date().toISOString();
  const restrict = (until: string | null): Promise<void> =>
    owner.fenced(numberNo, (tx, fence) =>
      setRestriction(tx, fence, { code: "new_chats", since, until }),
    );
  for (const until of [new Date(Date.now() + 3_600_000).toISOString(), null]) {
    await restrict(until);
    const { status: word, restriction, isPaused } = await status(company);
    assert.equal(word, "connected", "it stays connected");
    assert.deepEqual(restriction, { code: "new_chats", since, until });
    assert.equal(isPaused, false);
  }
  await restrict(new Date(Date.now() - 1_000).toISOString());
  assert.equal((await status(company))["restriction"], null, "it is over");
});

test("status of a company without a number, and that reading makes none", async () => {
  const company = await addCompany(world);
  const body = await status(company);
  assert.equal(body["status"], "disconnected");
  assert.equal(body["reason"], "not_linked");
  assert.equal(body["nextAction"], "pair");
  assert.equal(body["number"], null);
  assert.equal(body["attempt"], null);
});

test("without a worker: no_owner, and commands are refused at once and leave nothing", async () => {
  const company = await addCompany(world);
  const numberId = await addNumber(world, company);
  assert.equal((await status(company))["reason"], "no_owner");
  const startedAt = performance.now();
  for (const [action, body] of [
    ["pairing-code", { phoneNumber: "79001234567" }],
    ["reconnect", {}],
    ["reconnect", { usePairingCode: true, phoneNumber: "79001234567" }],
  ] as const) {
    const answer = await call(world, "POST", session(company, action), {
      token: company.token,
      body,
    });
    assert.equal(answer.status, 503);
    assert.equal(answer.body["code"], "NO_OWNER");
    assert.ok(Number(answer.headers.get("retry-after")) > 0);
  }
  assert.ok(performance.now() - startedAt < 5_000);
  await world.deps.platformDb.updateTable("shardLeases").set({ paused: true }).execute();
  const paused = await call(world, "POST", session(company, "reconnect"), {
    token: company.token,
    body: {},
  });
  await world.deps.platformDb.updateTable("shardLeases").set({ paused: false }).execute();
  assert.equal(paused.status, 503);
  assert.match(String(paused.body["detail"]), /An operator has paused/);
  assert.equal(paused.headers.get("retry-after"), null);
  const left = await world.deps.platformDb
    .selectFrom("commands")
    .select("commandId")
    .where("numberNo", "=", await numberNoOf(world, numberId))
    .execute();
  assert.deepEqual(left, []);
});

test("a pairing code has the seed's shape and ours; the primary number comes into being", async () => {
  const company = await addCompany(world, { country: "RU" });
  await using owner = await new Owner(world).start(showCode);
  const answer = await call(world, "POST", session(company, "pairing-code"), {
    token: company.token,
    body: { phoneNumber: "8 900 123-45-67" },
  });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { attemptId, expiresAt, serverTime, ...rest } = answer.body;
  assert.deepEqual(rest, {
    success: true,
    companyId: company.id,
    pairingCode: "ABCD-EFGH",
    code: "ABCD-EFGH",
    expiresIn: "60 seconds",
    expiresInSeconds: 60,
    phoneNumber: "79001234567",
    codesLeft: 4,
  });
  assert.match(String(attemptId), /^pai_/);
  assert.ok(Date.parse(String(expiresAt)) > Date.parse(String(serverTime)));
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.deepEqual(owner.commands[0]?.args, { phone: "79001234567" });

  const seen = await status(company);
  assert.equal(record(seen["number"])["isPrimary"], true);
  const attempt = record(seen["attempt"]);
  assert.equal(attempt["state"], "code");
  assert.equal(attempt["code"], undefined, "a code is in no status answer");

  const events = await world.deps.platformDb
    .selectFrom("whatsappEvents")
    .select("type")
    .where("subject", "like", `%.${company.id}.%`)
    .orderBy("eventNo")
    .execute();
  assert.deepEqual(
    events.map(({ type }) => type),
    ["company.created", "number.added"],
  );
});

test("the phone: given, else the number's, else the company's for the primary only", async () => {
  const company = await addCompany(world, { phone: "+79001112233" });
  const primary = await addNumber(world, company);
  const second = await addNumber(world, company);
  const third = await addNumber(world, company, { phone: "+79004445566" });
  await using owner = await new Owner(world).start(() => ({
    state: "failed",
    error: { code: "PAIRING_CODE_FAILED" },
  }));
  const ask = async (number: string, body: unknown) => {
    const path = session(company, `pairing-code?number=${number}`);
    const answer = await call(world, "POST", path, { token: company.token, body });
    return [answer.body["code"], owner.commands.at(-1)?.args["phone"]];
  };
  assert.deepEqual(await ask(primary, {}), ["PAIRING_CODE_FAILED", "79001112233"]);
  assert.equal((await ask(second, {}))[0], "PHONE_REQUIRED");
  assert.deepEqual(await ask(third, {}), ["PAIRING_CODE_FAILED", "79004445566"]);
  assert.deepEqual(await ask(third, { phoneNumber: "+44 7911 123456" }), [
    "PAIRING_CODE_FAILED",
    "447911123456",
  ]);
  assert.deepEqual(await ask(third, { phoneNumber: 79001234567 }), [
    "PAIRING_CODE_FAILED",
    "79001234567",
  ]);
  for (const phoneNumber of ["123", "", "abc", "+7900123456789012345"]) {
    assert.equal((await ask(third, { phoneNumber }))[0], "INVALID_PHONE_FORMAT", phoneNumber);
  }
});

test("limits are told in unscaled minutes, with Retry-After in real seconds", async () => {
  const company = await addCompany(world);
  await using owner = await new Owner(world).start(() => ({
    state: "failed",
    error: {
      code: "RATE_LIMITED",
      scope: "company",
      until: new Date(Date.now() + 18_000).toISOString(),
    },
  }));
  const answer = await call(world, "POST", session(company, "pairing-code"), {
    token: company.token,
    body: { phoneNumber: "+79001234567" },
  });
  assert.equal(answer.status, 429);
  assert.equal(answer.body["code"], "RATE_LIMITED");
  assert.equal(answer.body["detail"], "Wait 30 minutes");
  assert.equal(answer.body["error"], "Wait 30 minutes");
  assert.equal(answer.body["minutes"], 30);
  assert.equal(owner.commands.length, 1);
  const retryAfter = Number(answer.headers.get("retry-after"));
  assert.ok(retryAfter >= 15 && retryAfter <= 18, String(retryAfter));
});

test("a linked, connected number: no code, no attempt; reconnect; cleanup", async () => {
  const company = await addCompany(world);
  const numberId = await addNumber(world, company);
  const other = await addNumber(world, company);
  await using owner = await new Owner(world).start(({ verb }) => ({
    state: "done",
    result: verb === "unlink" ? { wasLinked: true, told: true } : {},
  }));
  const numberNo = await numberNoOf(world, numberId);
  await owner.link(numberNo, "79001234567");
  const body = await status(company);
  assert.equal(body["status"], "connected");
  assert.equal(record(body["health"])["score"], 100);

  const post = (action: string, json: unknown = {}) =>
    call(world, "POST", session(company, action), { token: company.token, body: json });
  const code = await post("pairing-code", { phoneNumber: "+79001234567" });
  assert.equal(code.body["code"], "ALREADY_CONNECTED");
  const elsewhere = await post(`pairing-code?number=${other}`, { phoneNumber: "+79001234567" });
  assert.equal(elsewhere.body["code"], "PHONE_ALREADY_LINKED");
  const reconnect = await post("reconnect");
  assert.equal(reconnect.status, 202);
  assert.deepEqual(reconnect.body, {
    success: true,
    companyId: company.id,
    attemptId: null,
    status: "connecting",
  });
  assert.deepEqual((await post("cancel-pairing")).body["cancelled"], false);
  const cleanup = await post("cleanup");
  assert.deepEqual(cleanup.body, {
    success: true,
    companyId: company.id,
    wasLinked: true,
    told: true,
  });
  assert.deepEqual(
    owner.commands.map(({ verb }) => verb),
    ["reconnect", "unlink"],
  );
});

test("a QR: started by reconnect, shown as JSON, PNG and SVG, gone when it is over", async () => {
  const company = await addCompany(world);
  const numberId = await addNumber(world, company);
  const numberNo = await numberNoOf(world, numberId);
  await using owner = await new Owner(world).start(async (command, me) => {
    if (command.verb === "cancel_pairing") return { state: "done", result: {} };
    const attemptId = await me.startAttempt(command.numberNo, "qr");
    return { state: "done", result: { attemptId } };
  });
  const get = (path: string, accept?: string) =>
    fetch(`${world.url}${session(company, path)}`, {
      headers: {
        authorization: `Bearer ${company.token}`,
        ...(accept === undefined ? {} : { accept }),
      },
    });
  assert.equal((await get("qr")).status, 404);
  const started = await call(world, "POST", session(company, "reconnect"), {
    token: company.token,
  });
  assert.equal(started.status, 202);
  const attemptId = String(started.body["attemptId"]);
  const none: unknown = await (await get("qr")).json();
  assert.equal(record(none)["code"], "NO_QR", "no QR yet");

  const qr = "2@abc,def,ghi,jkl,1";
  await owner.changeAttempt(numberNo, attemptId, {
    state: "qr",
    k: 1,
    issuedAt: new Date(),
    expiresAt: new Date(Date.now() + 30_000),
    secret: { kind: "qr", value: qr },
  });
  const shown = record(await (await get("qr")).json());
  assert.equal(shown["qr"], qr);
  assert.equal(shown["attemptId"], attemptId);
  assert.equal(shown["k"], 1);
  assert.equal(shown["max"], 3);
  const png = await get("qr.png");
  assert.equal(png.headers.get("content-type"), "image/png");
  assert.equal(png.headers.get("cache-control"), "no-store");
  assert.equal(
    Buffer.from(await png.arrayBuffer())
      .subarray(1, 4)
      .toString(),
    "PNG",
  );
  assert.match(await (await get("qr?format=svg")).text(), /^<svg /);
  assert.match(await (await get("qr", "image/svg+xml")).text(), /^<svg /);
  assert.equal((await get("qr?format=gif")).status, 400);

  const watch = await world.deps.platformDb
    .selectFrom("pairingWatch")
    .select("until")
    .where("numberNo", "=", numberNo)
    .executeTakeFirstOrThrow();
  assert.ok(watch.until > new Date());
  const cancelled = await call(world, "POST", session(company, "cancel-pairing"), {
    token: company.token,
  });
  assert.equal(cancelled.body["cancelled"], true);
  await owner.changeAttempt(numberNo, attemptId, { state: "ended", outcome: "cancelled" });
  assert.equal((await get("qr")).status, 404);
  assert.equal(record((await status(company))["attempt"])["outcome"], "cancelled");
});

test("removing a number does not wait for ever for an owner that does not answer", async () => {
  const company = await addCompany(world);
  const numberId = await addNumber(world, company);
  const numberNo = await numberNoOf(world, numberId);
  await using owner = await new Owner(world).start(() => undefined);
  await owner.link(numberNo, "79001234567");
  const startedAt = performance.now();
  // Removing has the shortest deadline; it goes on without WhatsApp having been told.
  const removed = await call(
    world,
    "DELETE",
    `/api/whatsapp/companies/${company.id}/numbers/${numberId}`,
    { token: company.token },
  );
  assert.equal(removed.status, 200);
  assert.equal(removed.body["loggedOut"], false);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 7_500 && tookMs < 12_000, `${tookMs} ms`);
});

test("removing the primary logs it out and promotes another", async () => {
  const company = await addCompany(world);
  const first = await addNumber(world, company);
  const second = await addNumber(world, company);
  await using owner = await new Owner(world).start(() => ({
    state: "done",
    result: { wasLinked: true, told: true },
  }));
  await owner.link(await numberNoOf(world, first), "79001234567");
  const path = `/api/whatsapp/companies/${company.id}/numbers`;
  const removed = await call(world, "DELETE", `${path}/${first}`, { token: company.token });
  assert.deepEqual(removed.body, {
    success: true,
    companyId: company.id,
    numberId: first,
    loggedOut: true,
    promoted: second,
  });
  const list = await call(world, "GET", path, { token: company.token });
  const numbers = list.body["numbers"] as { id: string; isPrimary: boolean }[];
  assert.deepEqual(
    numbers.map(({ id, isPrimary }) => [id, isPrimary]),
    [[second, true]],
  );
});

test("an erased link that WhatsApp did not confirm is no logout", async () => {
  const company = await addCompany(world);
  const numberId = await addNumber(world, company);
  await using owner = await new Owner(world).start(() => ({
    state: "done",
    result: { wasLinked: true, told: false },
  }));
  await owner.link(await numberNoOf(world, numberId), "79001234567");
  const { token } = company;
  const cleanup = await call(world, "POST", session(company, "cleanup"), { token });
  assert.deepEqual([cleanup.body["wasLinked"], cleanup.body["told"]], [true, false]);
  const path = `/api/whatsapp/companies/${company.id}/numbers/${numberId}`;
  const removed = await call(world, "DELETE", path, { token });
  assert.equal(removed.body["loggedOut"], false);
});

test("a company's linked numbers are logged out before it is deleted", async () => {
  const company = await addCompany(world);
  const ids = [await addNumber(world, company), await addNumber(world, company)];
  await addNumber(world, company);
  const [first, second] = await Promise.all(ids.map((id) => numberNoOf(world, id)));
  assert.ok(first !== undefined && second !== undefined);
  await using owner = await new Owner(world).start(({ numberNo }) => ({
    state: "done",
    result: { wasLinked: true, told: numberNo === first },
  }));
  await owner.link(first, "79001234567");
  await owner.link(second, "79007654321");
  const path = `/api/whatsapp/companies/${company.id}`;
  const deleted = await call(world, "DELETE", path, { token: ADMIN_TOKEN });
  assert.deepEqual(deleted.body, {
    success: true,
    companyId: company.id,
    stillListed: ["79007654321"],
  });
  assert.deepEqual(
    owner.commands.map(({ verb, numberNo }) => [verb, numberNo]),
    [
      ["unlink", first],
      ["unlink", second],
    ],
  );
});

test("deleting a company waits for all its numbers together, and not for ever", async () => {
  const company = await addCompany(world);
  const ids = await Promise.all(Array.from({ length: 8 }, () => addNumber(world, company)));
  await using owner = await new Owner(world).start(() => undefined);
  for (const [index, id] of ids.entries()) {
    await owner.link(await numberNoOf(world, id), `7900123450${index}`);
  }
  const startedAt = performance.now();
  const path = `/api/whatsapp/companies/${company.id}`;
  const deleted = await call(world, "DELETE", path, { token: ADMIN_TOKEN });
  assert.equal(deleted.status, 200);
  assert.equal((deleted.body["stillListed"] as unknown[]).length, 8);
  const tookMs = performance.now() - startedAt;
  assert.ok(tookMs >= 7_500 && tookMs < 12_000, `${tookMs} ms`);
});

test("without an owner a company is deleted at once", async () => {
  const company = await addCompany(world);
  const id = await addNumber(world, company);
  {
    await using owner = await new Owner(world).start();
    await owner.link(await numberNoOf(world, id), "79001234567");
  }
  const path = `/api/whatsapp/companies/${company.id}`;
  const deleted = await call(world, "DELETE", path, { token: ADMIN_TOKEN });
  assert.deepEqual(deleted.body["stillListed"], ["79001234567"]);
});

test("the number that loses the first place is told about as well", async () => {
  const company = await addCompany(world);
  const path = `/api/whatsapp/companies/${company.id}/numbers`;
  const { token } = company;
  const first = await addNumber(world, company);
  const second = await addNumber(world, company, { isPrimary: true });
  await call(world, "PATCH", `${path}/${first}`, { token, body: { isPrimary: true } });
  const rows = await world.deps.platformDb
    .selectFrom("whatsappEvents")
    .select(["type", "envelope"])
    .where("subject", "like", `number.%.${company.id}.%`)
    .orderBy("eventNo")
    .execute();
  const told = rows.map(({ type, envelope }) => {
    const { numberId, isPrimary, changed } = record(envelope.data);
    return [type, numberId, isPrimary, changed];
  });
  assert.deepEqual(told, [
    ["number.added", first, true, undefined],
    ["number.updated", first, false, ["isPrimary"]],
    ["number.added", second, true, undefined],
    ["number.updated", second, false, ["isPrimary"]],
    ["number.updated", first, true, ["isPrimary"]],
  ]);
});

test("fields nobody knows are refused; no body is as good as an empty one", async () => {
  const company = await addCompany(world);
  const { token } = company;
  for (const action of ["pairing-code", "reconnect", "cleanup", "cancel-pairing", "pairing-link"]) {
    const body = { phonenumber: "79001234567" };
    const answer = await call(world, "POST", session(company, action), { token, body });
    assert.equal(answer.status, 400, action);
    assert.deepEqual(answer.body["errors"], [
      { field: "phonenumber", message: "is not known here" },
    ]);
  }
  const exchange = await call(world, "POST", "/api/whatsapp/link-exchange", {
    body: { token: "x", more: 1 },
  });
  assert.equal(exchange.status, 400);
  for (const action of ["cleanup", "cancel-pairing", "pairing-link"]) {
    for (const body of [undefined, {}]) {
      const answer = await call(world, "POST", session(company, action), {
        token,
        ...(body === undefined ? {} : { body }),
      });
      assert.equal(answer.status, 200, action);
    }
  }
});

test("numbers: limit, other providers, primary, unknown fields", async () => {
  const company = await addCompany(world, { whatsappConfig: { maxNumbersPerCompany: 2 } });
  const path = `/api/whatsapp/companies/${company.id}/numbers`;
  const first = await addNumber(world, company, { name: "Desk" });
  const second = await addNumber(world, company);
  const post = (body: unknown) => call(world, "POST", path, { token: company.token, body });
  assert.equal((await post({})).body["code"], "NUMBER_LIMIT_REACHED");
  assert.equal((await post({ provider: "meta" })).body["code"], "INVALID_REQUEST", "ids and token");
  assert.equal((await post({ provider: "wpp" })).body["code"], "PROVIDER_NOT_SUPPORTED");
  assert.equal((await post({ phoneNumber: "1" })).body["code"], "INVALID_REQUEST");

  const patched = await call(world, "PATCH", `${path}/${second}`, {
    token: company.token,
    body: { isPrimary: true, desiredState: "disconnected", phone: "+79001234567" },
  });
  const number = record(patched.body["number"]);
  assert.equal(number["isPrimary"], true);
  assert.equal(number["desiredState"], "disconnected");
  assert.equal(number["phone"], "79001234567");
  const old = await call(world, "GET", `${path}/${first}`, { token: company.token });
  assert.equal(record(old.body["number"])["isPrimary"], false);
  assert.equal(record(old.body["number"])["name"], "Desk");
  const unknown = await call(world, "GET", `${path}/nonsense`, { token: company.token });
  assert.equal(unknown.body["code"], "NUMBER_NOT_FOUND");
});

test("a company that is switched off links nothing", async () => {
  const company = await addCompany(world, { whatsappEnabled: false });
  const answer = await call(world, "POST", session(company, "reconnect"), {
    token: company.token,
  });
  assert.equal(answer.status, 409);
  assert.equal(answer.body["code"], "COMPANY_DISABLED");
});

test("ten requests at once make one primary number", async () => {
  const company = await addCompany(world);
  await using owner = await new Owner(world).start(() => ({
    state: "failed",
    error: { code: "REQUEST_IN_PROGRESS" },
  }));
  await Promise.all(
    Array.from({ length: 10 }, () =>
      call(world, "POST", session(company, "reconnect"), { token: company.token }),
    ),
  );
  const list = await call(world, "GET", `/api/whatsapp/companies/${company.id}/numbers`, {
    token: company.token,
  });
  assert.equal((list.body["numbers"] as unknown[]).length, 1);
  assert.equal(owner.commands.length, 10);
});

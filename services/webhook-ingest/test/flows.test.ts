/** Flows end to end: a simulated phone, the endpoint, and handlers on NATS and behind an address. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createPrivateKey, createPublicKey, type JsonWebKey } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";
import { newFlowKeyId, type FlowRequest } from "@manyline/contracts";
import { flowKeyFingerprint } from "@manyline/contracts/flows";
import { addFlowKey, endFlowKey, sealFlowToken, withCompany } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import type { FlowRun, MetaSimulator } from "@manyline/simulators/meta";
import { selfSigned, startPostgres, until, type PostgresServer } from "@manyline/testkit";
import { signatureOf } from "@manyline/contracts/webhooks";
import { type FlowRoom, openFlowRoom } from "./flow-room.ts";
import { addLine, giveApp, post, type Room, sign } from "./room.ts";

let postgres: PostgresServer;
let flows: FlowRoom;
let room: Room;
let meta: MetaSimulator;
let handlerServer: Server;
let handlerUrl: string;
/** What the address of a company was sent, and answers. */
let posted: { headers: IncomingMessage["headers"]; body: FlowRequest; raw: Buffer }[] = [];
let replies: { status?: number; body?: object | string; delayMs?: number }[] = [];

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const raw = Buffer.concat(await request.toArray());
  const { headers } = request;
  posted.push({ headers, raw, body: JSON.parse(raw.toString()) as FlowRequest });
  const { status = 200, body = { screen: "NEXT", data: {} }, delayMs = 0 } = replies.shift() ?? {};
  setTimeout(() => {
    response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body));
  }, delayMs).unref();
}

before(async () => {
  postgres = await startPostgres();
  flows = await openFlowRoom(postgres);
  ({ room, meta } = flows);
  handlerServer = createServer((request, response) => {
    void handle(request, response);
  });
  await new Promise<void>((resolve) => {
    handlerServer.listen(0, "127.0.0.1", resolve);
  });
  handlerUrl = `http://127.0.0.1:${(handlerServer.address() as AddressInfo).port}/flows`;
});
afterEach(() => {
  [posted, replies] = [[], []];
});
after(async () => {
  handlerServer.closeAllConnections();
  handlerServer.close();
  await flows.close();
  await postgres[Symbol.asyncDispose]();
});

const statuses = (run: FlowRun): number[] => run.exchanges.map(({ status }) => status);

describe("a flow", () => {
  test("goes screen by screen over NATS, and its reply comes as a message", async () => {
    const line = await flows.open();
    const asked = flows.answer(line, ({ action, data }) => {
      if (action === "INIT") return { screen: "DAY", data: { days: ["Mo", "Tu"] } };
      if (action === "BACK") return { screen: "DAY", data: { days: ["We"] } };
      return data["day"] === "We"
        ? {
            screen: "SUCCESS",
            data: { extension_message_response: { params: { day: data["day"], note: "naïve ✓" } } },
          }
        : { screen: "DAY", data: { error_message: "That day is taken." } };
    });
    await flows.settled();
    const sealer = await room.database.keyring.sealer(room.deps.db, line.companyNo);
    const messageId = `msg_${"1".repeat(32)}`;
    const facts = { numberId: line.numberId, messageId, flow: "booking" };
    const expiresAt = new Date(Date.now() + 60_000);
    const token = sealFlowToken(sealer, { ...facts, expiresAt });
    const run = await flows.press(line, { token });
    assert.deepEqual([run.state, run.screen, run.data], ["open", "DAY", { days: ["Mo", "Tu"] }]);
    await run.submit({ day: "Mo", who: "Zoë Ñandú" });
    assert.deepEqual(run.data, { error_message: "That day is taken." });
    await run.back();
    assert.deepEqual(run.data, { days: ["We"] });
    await run.submit({ day: "We" });
    assert.deepEqual([run.state, run.result], ["done", { day: "We", note: "naïve ✓" }]);
    assert.deepEqual(statuses(run), [200, 200, 200, 200]);
    assert.deepEqual(
      asked.map(({ action, screen }) => [action, screen]),
      [
        ["INIT", null],
        ["data_exchange", "DAY"],
        ["BACK", "DAY"],
        ["data_exchange", "DAY"],
      ],
    );
    const [, second] = asked;
    assert.deepEqual(second?.data, { day: "Mo", who: "Zoë Ñandú" });
    assert.equal(second?.companyId, line.companyId);
    assert.equal(second?.sent?.messageId, messageId);
    assert.deepEqual([second?.sent?.flow, second?.sent?.numberId], ["booking", line.numberId]);
    const told = await until(
      () =>
        room.seen.find(
          ({ type, companyid }) => type === "message.received" && companyid === line.companyId,
        ),
      { label: "the reply" },
    );
    const reply = (told.data as { flowReply: { token: string; response: object } }).flowReply;
    assert.equal(reply.token, token);
    assert.deepEqual(reply.response, { flow_token: token, day: "We", note: "naïve ✓" });
  });

  test("is answered here when it only asks whether we live, or tells of an error", async () => {
    const line = await flows.open();
    const pong = await meta.flows.ping(line.phoneNumberId, line.flowId);
    assert.deepEqual([pong.status, pong.answer], [200, { data: { status: "active" } }]);
    // Nobody answers for this company.
    const run = await flows.press(line);
    assert.deepEqual([run.state, run.error], ["failed", "unexpected_http_status_code"]);
    assert.deepEqual([statuses(run), run.isAcknowledged], [[503, 200], true]);
  });

  test("whose handler is slow or answers nonsense is not left waiting", async () => {
    const line = await flows.open();
    let reply: unknown;
    flows.answer(line, () => reply);
    await flows.settled();
    for (const [nonsense, status] of [
      [undefined, 504],
      [{ screen: 3 }, 502],
      ["text", 502],
    ] as const) {
      reply = nonsense;
      const run = await flows.press(line);
      assert.equal(statuses(run)[0], status);
      assert.ok((run.exchanges[0]?.ms ?? 9_999) < 3_000);
    }
    reply = { invalidToken: true, message: "The order is paid already." };
    const ended = await flows.press(line);
    assert.deepEqual([ended.state, ended.message], ["disabled", "The order is paid already."]);
  });
});

type Fixture = {
  app_secret: string;
  request_raw: string;
  x_hub_signature_256: string;
  expected_http_status: number;
  expected_decrypted: Record<string, unknown> | null;
  response_plaintext?: string;
  expected_response_body?: string;
};

test("recorded requests are answered byte for byte as was expected of them", async () => {
  const folder = new URL("../../../packages/contracts/fixtures/flows/", import.meta.url);
  const read = async (name: string): Promise<unknown> =>
    JSON.parse(await readFile(new URL(`${name}.json`, folder), "utf8"));
  const jwk = createPrivateKey({ key: (await read("private.jwk")) as JsonWebKey, format: "jwk" });
  const line = await addLine(room);
  const publicKey = createPublicKey(jwk).export({ type: "spki", format: "pem" }).toString();
  await withCompany(room.app, line.companyNo, (tx) =>
    addFlowKey(
      tx,
      room.database.keyring,
      line.companyNo,
      {
        flowKeyId: newFlowKeyId(),
        publicKey,
        fingerprint: flowKeyFingerprint(publicKey) ?? "",
        privateKey: jwk.export({ type: "pkcs8", format: "der" }),
      },
      0,
    ),
  );
  let plain = "";
  const asked = flows.answer(line, () => JSON.parse(plain) as unknown);
  await flows.settled();
  for (const name of ["ping", "data_exchange", "tampered-tag"]) {
    const one = (await read(name)) as Fixture;
    await giveApp(room, line, one.app_secret);
    plain = one.response_plaintext ?? "";
    const reply = await fetch(`${room.url}/flows/${line.companyId}`, {
      method: "POST",
      body: one.request_raw,
      headers: {
        "content-type": "application/json",
        "x-hub-signature-256": one.x_hub_signature_256,
      },
    });
    assert.equal(reply.status, one.expected_http_status, name);
    const body = await reply.text();
    if (one.expected_response_body === undefined) {
      assert.deepEqual(JSON.parse(body), { error_msg: "The request cannot be decrypted." });
      continue;
    }
    assert.equal(body, one.expected_response_body);
    assert.match(reply.headers.get("content-type") ?? "", /^text\/plain/);
    if (one.expected_decrypted?.["action"] === "ping") continue;
    const { screen, data, flow_token: token } = one.expected_decrypted ?? {};
    const [request] = asked;
    assert.deepEqual([request?.screen, request?.data, request?.flowToken], [screen, data, token]);
  }
  assert.equal(asked.length, 1);
});

describe("a handler behind an address", () => {
  const key = Buffer.from("a key of a handler, 32 bytes long");
  const secret = `whsec_${key.toString("base64")}`;

  test("is asked with a signature, and its answer used", async () => {
    const line = await flows.open();
    await flows.setHandler(line, { kind: "https", url: handlerUrl, secret });
    replies = [{ body: { screen: "FIRST", data: { x: 1 } } }];
    const run = await flows.press(line);
    assert.deepEqual([run.screen, run.data], ["FIRST", { x: 1 }]);
    const [first] = posted;
    assert.ok(first);
    const [id, at] = [
      String(first.headers["webhook-id"]),
      String(first.headers["webhook-timestamp"]),
    ];
    assert.equal(first.headers["webhook-signature"], signatureOf(secret, id, at, first.raw));
    assert.deepEqual([first.body.id, first.body.flowToken, first.body.sent], [id, "t", null]);
    assert.ok(Math.abs(Number(at) - Date.now() / 1_000) < 30);
    for (const [wish, status] of [
      [{ status: 427, body: { error_msg: "over" } }, 427],
      [{ status: 500 }, 502],
      [{ status: 302 }, 502],
      [{ body: "no json" }, 502],
      [{ delayMs: 1_500 }, 504],
    ] as const) {
      replies = [wish];
      assert.equal(statuses(await flows.press(line))[0], status, JSON.stringify(wish));
    }
  });

  test("as the documentation shows one books a table, once for each token", async () => {
    const line = await flows.open();
    const example = new URL("../../../packages/client/examples/flow-handler.ts", import.meta.url);
    const child = spawn(process.execPath, [example.pathname], {
      env: { PATH: process.env["PATH"], FLOW_SECRET: secret, PORT: "0" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [said] = (await once(child.stdout, "data")) as [Buffer];
      const { port } = JSON.parse(said.toString()) as { port: number };
      const url = `http://127.0.0.1:${port}/`;
      await flows.setHandler(line, { kind: "https", url, secret });
      const sealer = await room.database.keyring.sealer(room.deps.db, line.companyNo);
      const facts = { numberId: line.numberId, messageId: "msg_1", flow: "booking" };
      const token = sealFlowToken(sealer, { ...facts, expiresAt: new Date(Date.now() + 60_000) });
      const run = await flows.press(line, { token });
      assert.deepEqual([run.screen, run.data], ["TIME", { free: ["18:00", "20:00"] }]);
      await run.submit({ time: "19:00" });
      assert.equal(run.data["error_message"], "This table is gone.");
      await run.submit({ time: "20:00" });
      assert.deepEqual([run.state, run.result?.["time"]], ["done", "20:00"]);
      const again = await flows.press(line, { token });
      assert.equal(again.message, "Your table is booked for 20:00.");
      assert.equal((await flows.press(line)).state, "disabled");
      assert.equal((await fetch(url, { method: "POST", body: "{}" })).status, 401);
    } finally {
      child.kill();
      await once(child, "exit");
    }
  });

  test("is asked over TLS when its certificate is one we trust and is of its address, else not at all", async () => {
    const line = await flows.open();
    const asked: string[] = [];
    const trusted = selfSigned([127, 0, 0, 1]);
    const elsewhere = selfSigned([10, 0, 0, 1]);
    const unknown = selfSigned([127, 0, 0, 1]);
    const usual = getCACertificates("default");
    try {
      for (const [tls, known, status] of [
        [trusted, trusted, 200],
        [elsewhere, elsewhere, 503],
        [unknown, trusted, 503],
      ] as const) {
        setDefaultCACertificates([...usual, known.cert]);
        const server = createTlsServer(tls, (request, response) => {
          asked.push(String(request.headers["webhook-id"]));
          request.resume();
          response.end(JSON.stringify({ screen: "SAFE", data: {} }));
        });
        server.listen(0, "127.0.0.1");
        await once(server, "listening");
        const { port } = server.address() as AddressInfo;
        const url = `https://127.0.0.1:${port}/flows`;
        await flows.setHandler(line, { kind: "https", url, secret });
        const run = await flows.press(line);
        assert.equal(statuses(run)[0], status);
        if (status === 200) assert.equal(run.screen, "SAFE");
        server.closeAllConnections();
        server.close();
      }
    } finally {
      setDefaultCACertificates(usual);
    }
    assert.equal(asked.length, 1, "nobody else was told anything");
  });

  test("that leads into our own network is not called", async () => {
    const line = await flows.open();
    const { port } = handlerServer.address() as AddressInfo;
    await flows.setHandler(line, { kind: "https", url: `http://127.0.0.2:${port}/flows`, secret });
    assert.equal(statuses(await flows.press(line))[0], 503);
    assert.deepEqual(posted, []);
  });
});

describe("between companies", () => {
  test("no key opens what was encrypted for another, and no token counts for another", async () => {
    const [one, other] = [await flows.open(), await flows.open()];
    const asked = flows.answer(other, () => ({ screen: "A", data: {} }));
    const mine = flows.answer(one, () => ({ screen: "A", data: {} }));
    await flows.settled();
    // A flow in one's account that points to the other's endpoint: encrypted with one's key.
    const endpointUrl = `${room.url}/flows/${other.companyId}`;
    const wrong = meta.world.addFlow({ wabaId: one.wabaId, endpointUrl });
    const run = await flows.press(one, { flowId: wrong.id });
    assert.deepEqual([run.state, run.error], ["failed", "business-decryption-error"]);
    assert.deepEqual(asked, []);

    const sealer = await room.database.keyring.sealer(room.deps.db, other.companyNo);
    const facts = { numberId: other.numberId, messageId: "msg_1", flow: "x" };
    const theirs = sealFlowToken(sealer, { ...facts, expiresAt: new Date(Date.now() + 60_000) });
    const old = sealFlowToken(sealer, { ...facts, expiresAt: new Date(Date.now() - 1_000) });
    assert.equal((await flows.press(one, { token: theirs })).state, "disabled");
    assert.equal((await flows.press(other, { token: old })).state, "disabled");
    assert.equal((await flows.press(other, { token: "flt_AAAA" })).state, "disabled");
    assert.deepEqual([asked, mine], [[], []]);
    assert.equal((await flows.press(other, { token: theirs })).state, "open");
  });

  test("a company with an app of its own is signed for by that one alone", async () => {
    const own = meta.world.addApp({ secret: "a-secret-of-its-own" });
    const line = await flows.open(own.id);
    flows.answer(line, () => ({ screen: "A", data: {} }));
    await flows.settled();
    assert.deepEqual(statuses(await flows.press(line))[0], 432);
    await giveApp(room, line, own.secret);
    await until(async () => (await flows.press(line)).state === "open", {
      label: "the app is known",
    });
    const flow = meta.world.flows.get(line.flowId);
    assert.ok(flow);
    flow.appId = [...meta.world.apps.keys()][0] ?? "";
    assert.deepEqual(statuses(await flows.press(line))[0], 432);
  });
});

describe("a key", () => {
  test("that was replaced answers until its overlap ends; the new one at once", async () => {
    const line = await flows.open();
    flows.answer(line, () => ({ screen: "A", data: {} }));
    await flows.settled();
    assert.equal((await flows.press(line)).state, "open");
    const former = meta.world.numbers.get(line.phoneNumberId)?.encryptionKey ?? "";
    await flows.newKey(line, 60_000);
    // The phone still has the former key.
    assert.equal((await flows.press(line)).state, "open");
    meta.flows.forgetKeys();
    await until(async () => (await flows.press(line)).state === "open", { label: "the new key" });
    flows.upload(line, former);
    meta.flows.forgetKeys();
    assert.equal((await flows.press(line)).state, "open");
    const [row] = await asSuperuser<{ id: string }>(
      room.database,
      `select flow_key_id as id from flow_keys where company_no = ${line.companyNo} and retires_at is not null`,
    );
    const formerId = row?.id ?? "";
    assert.ok(
      await withCompany(room.app, line.companyNo, (tx) => endFlowKey(tx, line.companyNo, formerId)),
    );
    await until(async () => statuses(await flows.press(line))[0] === 421, {
      label: "the former key is no longer believed",
      deadlineMs: 15_000,
    });
  });

  test("of nobody: 421 for whoever can sign, 432 for everybody else", async () => {
    const line = await addLine(room);
    const body = Buffer.from(
      await readFile(
        new URL("../../../packages/contracts/fixtures/flows/ping.json", import.meta.url),
        "utf8",
      ).then((text) => (JSON.parse(text) as { request_raw: string }).request_raw),
    );
    const path = `/flows/${line.companyId}`;
    assert.equal(await post(room, body, { path }), 421);
    assert.equal(await post(room, body, { path: "/flows/nobody" }), 421);
    assert.equal(await post(room, body, { path: "/flows/no__wpp__body" }), 421);
    assert.equal(await post(room, Buffer.from("{}"), { path }), 400);
    for (const header of [null, "sha256=00", sign(Buffer.from("other"))]) {
      assert.equal(await post(room, body, { path, header }), 432);
      assert.equal(await post(room, body, { path: "/flows/nobody", header }), 432);
    }
    assert.equal(await post(room, Buffer.alloc(20_001, 32), { path }), 413);
  });
});

// Last: it takes Postgres away.
test("without Postgres what is known goes on, and what is not is 503", async () => {
  const [known, unknown] = [await flows.open(), await flows.open()];
  flows.answer(known, () => ({ screen: "A", data: {} }));
  await flows.settled();
  assert.equal((await flows.press(known)).state, "open");
  await postgres.kill("SIGKILL");
  assert.equal((await flows.press(known)).state, "open");
  assert.deepEqual((await meta.flows.ping(known.phoneNumberId, known.flowId)).status, 200);
  assert.equal(statuses(await flows.press(unknown))[0], 503);
  await postgres.start();
});

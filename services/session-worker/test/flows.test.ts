/** Keys for flows at Meta, flow messages, people without a phone, and numbers side by side, against the simulated Meta. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, it } from "node:test";
import { newFlowKeyId, newNumberId, normaliseMeta, shardPoke } from "@manyline/contracts";
import { flowKeyFingerprint, newFlowKeyPair } from "@manyline/contracts/flows";
import {
  addFlowKey,
  commitIngest,
  createNumber,
  inTransaction,
  openDatabase,
  openFlowToken,
  putSharedFlow,
  putTenantFlow,
  setMetaNumber,
  withCompany,
} from "@manyline/db";
import type { NumberRow } from "@manyline/db";
import { type MetaSimulator, startMetaSimulator } from "@manyline/simulators/meta";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";
import { enqueue, sendStates, untilSend } from "./sending.ts";

const ANN = "15550100019";
let meta: MetaSimulator;
let room: Room;
before(async () => {
  meta = await startMetaSimulator();
  room = await openRoom({ env: { GRAPH_URL: meta.url, GRAPH_VERSION: "v21.0" } });
});
after(async () => {
  await room.close();
  await meta.close();
});

/** A connected number of a new company, as it is here and at Meta. */
async function addLine() {
  const { number: atMeta, waba, token } = meta.world.addLine();
  meta.say(atMeta.id, ANN, "hello");
  const { companyNo } = await room.company();
  const number = await inTransaction(room.platform, (tx) =>
    createNumber(tx, companyNo, {
      numberId: newNumberId(),
      provider: "meta",
      phone: null,
      name: null,
      maxNumbers: 500,
    }),
  );
  const place = { wabaId: waba.id, phoneNumberId: atMeta.id, accessToken: token.token };
  await withCompany(room.app, companyNo, (tx) =>
    setMetaNumber(tx, room.database.keyring, number, place),
  );
  room.bus.poke(shardPoke(number.shardId));
  await until(async () => (await room.status(number)).number.status === "connected", {
    label: "connected",
    deadlineMs: 15_000,
  });
  return { number, atMeta, waba, token };
}

async function addKey({ companyNo }: NumberRow): Promise<string> {
  const { publicKey, privateKey } = await newFlowKeyPair();
  const flowKeyId = newFlowKeyId();
  const key = {
    flowKeyId,
    publicKey,
    privateKey,
    fingerprint: flowKeyFingerprint(publicKey) ?? "",
  };
  await withCompany(room.app, companyNo, (tx) =>
    addFlowKey(tx, room.database.keyring, companyNo, key, 60_000),
  );
  return flowKeyId;
}

it("a version of the Graph API that ends soon, or has ended, is warned of", async () => {
  assert.match(await readFile(room.log, "utf8"), /"graph.version_ends","version":"v21.0"/);
});

describe("the key for flows of a number", () => {
  it("is given to Meta and read back; what Meta has is told as it is", async () => {
    const { number, atMeta, token } = await addLine();
    const ask = async (verb: "upload_flow_key" | "read_flow_key") => {
      const { result, error } = await room.command(number, verb);
      return result ?? error;
    };
    const checked = async () => {
      const { result } = await room.command(number, "check_number");
      const checks = (result?.["checks"] ?? []) as Record<"name" | "state" | "detail", string>[];
      const found = checks.find(({ name }) => name === "encryption_key");
      return `${found?.state}: ${found?.detail}`;
    };
    const none = { keyId: null, signatureStatus: null };
    assert.match(await checked(), /^warning: Meta has no key/);
    atMeta.encryptionKey = (await newFlowKeyPair()).publicKey;
    assert.match(await checked(), /^warning: .* kept elsewhere; the company has none/);
    atMeta.encryptionKey = null;
    assert.deepEqual(await ask("read_flow_key"), { state: "none", ...none });
    assert.deepEqual(await ask("upload_flow_key"), { code: "FLOW_KEY_NOT_FOUND" });
    const first = await addKey(number);
    const valid = { state: "valid", keyId: first, signatureStatus: "VALID" };
    assert.deepEqual(await ask("upload_flow_key"), valid);
    assert.match(atMeta.encryptionKey ?? "", /BEGIN PUBLIC KEY/);
    assert.deepEqual(await ask("read_flow_key"), valid);
    assert.match(await checked(), /^ok: Meta has the company's current key\. .* VALID/);
    const second = await addKey(number);
    assert.deepEqual(await ask("read_flow_key"), { ...valid, state: "former" });
    assert.match(await checked(), /^warning: Meta has a former key of the company, .* until 20/);
    assert.deepEqual(await ask("upload_flow_key"), { ...valid, keyId: second });
    atMeta.encryptionStatus = "MISMATCH";
    const mismatch = { state: "mismatch", keyId: second, signatureStatus: "MISMATCH" };
    assert.deepEqual(await ask("read_flow_key"), mismatch);
    assert.match(await checked(), /^failed: .* not from this number\. .* MISMATCH/);
    assert.deepEqual(await ask("upload_flow_key"), { ...valid, keyId: second });
    atMeta.encryptionKey = (await newFlowKeyPair()).publicKey;
    const foreign = { state: "foreign", keyId: null, signatureStatus: "VALID" };
    assert.deepEqual(await ask("read_flow_key"), foreign);
    assert.match(await checked(), /^failed: Meta has a key that is none of the company's/);
    token.scopes = ["whatsapp_business_messaging"];
    assert.deepEqual(await ask("read_flow_key"), { code: "META_REFUSED", graphCode: 10 });
  });
});

describe("a flow message", () => {
  it("carries the company's own flow, else the one of all, and a token of its company", async () => {
    const [one, other] = [await addLine(), await addLine()];
    const shared = {
      name: "default",
      flowId: "777",
      action: "data_exchange",
      screen: null,
    } as const;
    await putSharedFlow(room.platform, shared);
    await withCompany(room.app, one.number.companyNo, (tx) =>
      putTenantFlow(tx, one.number.companyNo, { ...shared, flowId: "111" }),
    );
    const interactive = {
      type: "flow",
      body: { text: "Book a table" },
      action: { name: "flow", parameters: { flow_cta: "Book" } },
    };
    for (const [line, flowId] of [
      [one, "111"],
      [other, "777"],
    ] as const) {
      const { number } = line;
      const queued = await enqueue(
        room,
        { number, phone: "1" },
        { phone: ANN },
        { provider: "meta", type: "interactive", text: null, content: { interactive } },
      );
      await untilSend(room, { number, phone: "1" }, queued, "message.sent", 20_000);
      const sent = meta.sending.sent.find(({ callbackData }) => callbackData === queued.messageId);
      assert.ok(sent);
      const { action } = sent.body["interactive"] as {
        action: { parameters: Record<string, string> };
      };
      const { flow_token: token = "", ...parameters } = action.parameters;
      assert.deepEqual(parameters, {
        flow_message_version: "3",
        flow_action: "data_exchange",
        flow_id: flowId,
        flow_cta: "Book",
      });
      const { keyring } = room.database;
      const sealer = await keyring.sealer(room.platform, number.companyNo);
      const facts = openFlowToken(sealer, token, new Date());
      assert.equal(facts?.messageId, queued.messageId);
      assert.deepEqual([facts?.numberId, facts?.flow], [number.numberId, "default"]);
      const rival = line === one ? other : one;
      const theirs = await keyring.sealer(room.platform, rival.number.companyNo);
      assert.equal(openFlowToken(theirs, token, new Date()), undefined);
    }
  });

  it("goes out with a template whose button opens a flow, whether the sender knows it or not", async () => {
    const { number, waba } = await addLine();
    meta.world.addTemplate({ wabaId: waba.id, name: "offer", flowId: "777" });
    meta.world.addTemplate({ wabaId: waba.id, name: "offer", language: "de", flowId: "777" });
    meta.world.addTemplate({ wabaId: waba.id, name: "offer_plain" });
    const componentsOf = async (name: string) => {
      const template = { name, language: "en_US" };
      const queued = await enqueue(
        room,
        { number, phone: "1" },
        { phone: ANN },
        { provider: "meta", type: "template", text: null, content: { template } },
      );
      await untilSend(room, { number, phone: "1" }, queued, "message.sent", 20_000);
      const sent = meta.sending.sent.find(({ callbackData }) => callbackData === queued.messageId);
      const { components } = Object(sent?.body["template"]) as { components?: object[] };
      return { components, messageId: queued.messageId };
    };
    const { components, messageId } = await componentsOf("offer");
    const [button, ...more] = components as { parameters: { action: { flow_token: string } }[] }[];
    const token = button?.parameters[0]?.action.flow_token ?? "";
    assert.deepEqual(
      [button, more],
      [
        {
          type: "button",
          sub_type: "flow",
          index: "1",
          parameters: [{ type: "action", action: { flow_token: token } }],
        },
        [],
      ],
    );
    const sealer = await room.database.keyring.sealer(room.platform, number.companyNo);
    const facts = openFlowToken(sealer, token, new Date());
    assert.deepEqual([facts?.messageId, facts?.flow], [messageId, "offer"]);
    assert.equal((await componentsOf("offer_plain")).components, undefined);
  });
});

describe("a person whose phone nobody knows", () => {
  it("is answered by the id that Meta has for them in this portfolio, and it is told what became of it", async () => {
    const { number, atMeta, waba } = await addLine();
    const bo = meta.world.addPerson({ phone: "15550100020", username: "@bo", isPhoneHidden: true });
    meta.say(atMeta.id, bo.phone, "hi");
    const userId = meta.world.userIdOf(bo.phone, waba.portfolioId);
    const one = { number, phone: "1" };
    await using db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
    const take = async (value: object) => {
      const metadata = { phone_number_id: atMeta.id };
      const changes = [{ field: "messages", value: { metadata, ...value } }];
      const body = { object: "whatsapp_business_account", entry: [{ id: waba.id, changes }] };
      const webhook = normaliseMeta(body, new Date());
      const raw = Buffer.from(JSON.stringify(body));
      return commitIngest(db, room.database.keyring, { service: "test" }, [
        { webhook, body, raw, app: null },
      ]);
    };
    const text = { type: "text", text: { body: "hi" } };
    const { events } = await take({
      messages: [{ from_user_id: userId, id: "wamid.bo.1", ...text }],
      contacts: [{ user_id: userId, profile: { name: "Bo", username: "@bo" } }],
    });
    const heard = events.find(({ type }) => type === "message.received");
    const data = Object(heard?.envelope.data) as Record<string, Record<string, unknown>>;
    assert.deepEqual([data["from"]?.["phone"], data["from"]?.["userId"]], [null, userId]);
    const chatId = String(data["chat"]?.["id"]);
    const queued = await enqueue(room, one, { chatId }, { provider: "meta" });
    await untilSend(room, one, queued, "message.sent", 20_000);
    const sent = meta.sending.sent.find(({ callbackData }) => callbackData === queued.messageId);
    assert.deepEqual([sent?.body["recipient"], sent?.body["to"]], [userId, undefined]);
    await take({ statuses: [{ id: sent?.id, status: "delivered", recipient_user_id: userId }] });
    const told = await untilSend(room, one, queued, "message.delivered", 20_000);
    assert.deepEqual(Object(told.data["recipient"])["userId"], userId);
  });
});

describe("numbers side by side", () => {
  it("one that Meta lets hang and one that it finds too fast delay nobody but themselves", async () => {
    const [hung, fast, well] = [await addLine(), await addLine(), await addLine()];
    const send = ({ number }: typeof well) =>
      enqueue(room, { number, phone: "1" }, { phone: ANN }, { provider: "meta" });
    const states = ({ number }: typeof well) => sendStates(room, { number, phone: "1" });
    const part = "messages" as const;
    meta.faults.add({ part, phoneNumberId: hung.atMeta.id, effect: { delayMs: 2_500 } });
    const error = { code: 130_429 };
    meta.faults.add({ part, phoneNumberId: fast.atMeta.id, effect: { error }, when: { next: 1 } });
    const waiting = await send(hung);
    await send(fast);
    const held = await until(
      async () => {
        const told = await room.events(fast.number);
        return told.find(({ type }) => type === "number.restricted");
      },
      { label: "too fast" },
    );
    assert.equal(Object(held.data["restriction"])["code"], "slow_down");
    await send(fast);
    const one = { number: well.number, phone: "1" };
    for (let count = 0; count < 5; count += 1) {
      await untilSend(room, one, await send(well), "message.sent", 3_000);
    }
    assert.deepEqual(await states(hung), { sending: 1 });
    assert.deepEqual(await states(fast), { queued: 2 });
    await untilSend(room, { number: hung.number, phone: "1" }, waiting, "message.sent", 10_000);
  });
});

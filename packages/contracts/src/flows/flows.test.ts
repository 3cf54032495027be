import assert from "node:assert/strict";
import { createCipheriv, createPrivateKey, createPublicKey, publicEncrypt } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import {
  flowKeyFingerprint,
  flowPrivateKey,
  flowPublicKey,
  newFlowKeyPair,
  openFlow,
  parseFlowBody,
  readFlowAnswer,
  readFlowCall,
  sealFlowAnswer,
} from "./index.ts";

const read = (name: string): string =>
  readFileSync(new URL(`../../fixtures/flows/${name}`, import.meta.url), "utf8");

type Fixture = {
  request_body: object;
  request_raw: string;
  expected_decrypted: unknown;
  aes_key_hex?: string;
  iv_hex?: string;
  response_plaintext?: string;
  expected_response_body?: string;
};
const fixture = (name: string): Fixture => JSON.parse(read(`${name}.json`)) as Fixture;
const PRIVATE = createPrivateKey({
  key: JSON.parse(read("private.jwk.json")) as Record<string, string>,
  format: "jwk",
});
const bodyOf = (one: Fixture) => {
  const body = parseFlowBody(one.request_raw);
  assert.ok(body);
  assert.deepEqual(body, one.request_body);
  return body;
};

describe("a request of a flow", () => {
  for (const name of ["ping", "data_exchange"]) {
    it(`${name}: opens, and is answered under the flipped vector`, () => {
      const one = fixture(name);
      const opened = openFlow(bodyOf(one), PRIVATE);
      assert.ok(opened);
      assert.deepEqual(JSON.parse(opened.plain.toString()), one.expected_decrypted);
      assert.equal(opened.aesKey.toString("hex"), one.aes_key_hex);
      assert.equal(opened.iv.toString("hex"), one.iv_hex);
      const answer = JSON.parse(one.response_plaintext ?? "") as object;
      assert.equal(sealFlowAnswer(opened, answer), one.expected_response_body);
    });
  }

  it("that was changed, or is for another key, does not open", async () => {
    assert.equal(openFlow(bodyOf(fixture("tampered-tag")), PRIVATE), undefined);
    const good = bodyOf(fixture("data_exchange"));
    const pair = await newFlowKeyPair();
    assert.equal(openFlow(good, flowPrivateKey(pair.privateKey)), undefined);
    for (const change of [
      { encrypted_aes_key: bodyOf(fixture("ping")).encrypted_aes_key },
      { encrypted_aes_key: "" },
      { encrypted_aes_key: "AAAA" },
      { initial_vector: "AAAAAAAAAAAAAAAA" },
      { initial_vector: `${good.initial_vector}!` },
      { initial_vector: good.initial_vector.replace(/^./, "A") },
      { encrypted_flow_data: "" },
      { encrypted_flow_data: good.encrypted_flow_data.slice(4) },
      { encrypted_flow_data: good.encrypted_flow_data.replace(/\+/, "-") },
    ]) {
      const body = { ...good, ...(change as object) };
      assert.equal(openFlow(body, PRIVATE), undefined, JSON.stringify(change));
    }
  });

  it("whose key has another length does not open", () => {
    const key = Buffer.alloc(32, 7);
    const iv = Buffer.alloc(16, 9);
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    const data = Buffer.concat([cipher.update("{}"), cipher.final(), cipher.getAuthTag()]);
    const wrapped = publicEncrypt(
      { key: createPublicKey(read("public.pem")), oaepHash: "sha256" },
      key,
    );
    const body = {
      encrypted_flow_data: data.toString("base64"),
      encrypted_aes_key: wrapped.toString("base64"),
      initial_vector: iv.toString("base64"),
    };
    assert.equal(openFlow(body, PRIVATE), undefined);
  });

  it("is none without its three texts", () => {
    const { initial_vector: _, ...rest } = bodyOf(fixture("ping"));
    for (const text of ["", "null", "[]", "3", "{", JSON.stringify(rest), '{"initial_vector":1}']) {
      assert.equal(parseFlowBody(text), undefined, text);
    }
  });
});

describe("a key of a company", () => {
  it("is one of 2048 bits, known by its fingerprint", async () => {
    const pair = await newFlowKeyPair();
    assert.ok(flowPublicKey(pair.publicKey));
    assert.equal(flowPrivateKey(pair.privateKey).asymmetricKeyDetails?.modulusLength, 2_048);
    const broken = pair.publicKey.replaceAll("\n", "\r\n");
    assert.equal(flowKeyFingerprint(broken), flowKeyFingerprint(pair.publicKey));
    assert.notEqual(flowKeyFingerprint(pair.publicKey), flowKeyFingerprint(read("public.pem")));
    const secret = PRIVATE.export({ type: "pkcs8", format: "pem" }).toString();
    for (const text of [
      "",
      "x",
      "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
      secret,
    ]) {
      assert.equal(flowPublicKey(text), undefined);
      assert.equal(flowKeyFingerprint(text), undefined);
    }
  });
});

describe("what a request asks", () => {
  const call = (value: unknown) => readFlowCall(Buffer.from(JSON.stringify(value)));
  it("is a ping, a screen, a notice of an error, or something new", () => {
    assert.deepEqual(call({ version: "3.0", action: "ping" }), { kind: "ping" });
    assert.deepEqual(call(fixture("data_exchange").expected_decrypted), {
      kind: "screen",
      action: "data_exchange",
      version: "3.0",
      screen: "APPOINTMENT",
      data: { department: "beauty", name: "Zoë Ñandú", people: 2, consent: true },
      token: "ft_4a51f0c2",
    });
    assert.deepEqual(call({ action: "INIT", flow_token: "t", screen: "", version: 3 }), {
      kind: "screen",
      action: "INIT",
      version: "3",
      screen: null,
      data: {},
      token: "t",
    });
    const told = { error: "timeout_error", error_message: "took too long" };
    assert.deepEqual(call({ action: "data_exchange", flow_token: "t", data: told }), {
      kind: "error",
      error: "timeout_error",
      message: "took too long",
      token: "t",
    });
    assert.equal(call({ action: "INIT", data: { error: "missing_capability" } })?.kind, "error");
    assert.equal(call({ action: "data_exchange", data: { error: "my field" } })?.kind, "screen");
    assert.equal(call({ action: "BACK", data: told })?.kind, "screen");
    assert.deepEqual(call({ action: "dance" }), { kind: "unknown", action: "dance" });
    assert.deepEqual(call({}), { kind: "unknown", action: null });
    for (const value of [null, [], 3, "x"]) assert.equal(call(value), undefined);
    assert.equal(readFlowCall(Buffer.from([0x7b, 0xff, 0x7d])), undefined);
  });

  it("is answered by a screen, or by the end of the token", () => {
    assert.deepEqual(readFlowAnswer({ screen: "A", data: { x: 1 }, more: 2 }), {
      screen: "A",
      data: { x: 1 },
    });
    assert.deepEqual(readFlowAnswer({ screen: "A" }), { screen: "A", data: {} });
    const ended = readFlowAnswer({ invalidToken: true });
    assert.ok(ended && "message" in ended && ended.message !== "");
    assert.deepEqual(readFlowAnswer({ invalidToken: true, message: "too late" }), {
      invalidToken: true,
      message: "too late",
    });
    for (const value of [null, {}, { screen: "" }, { screen: 1 }, { screen: "A", data: [] }, []]) {
      assert.equal(readFlowAnswer(value), undefined);
    }
  });
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { describeError, maskDigits, redactText, redactValue } from "./redact.ts";

const HIDDEN = "[redacted]";

test("hides what looks like a secret, wherever it stands in a text", () => {
  const secrets = [
    "K7MP-2XQ9",
    "ABCD-EFGH",
    "K7MP2XQ9",
    "https://wa.me/settings/linked_devices#2@abc,def",
    `2@${"q".repeat(40)},${"w".repeat(44)}=,${"e".repeat(44)}=`,
    "mly_live_abc123_XYZ-9",
    `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl`,
    `EAA${"B".repeat(40)}`,
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  ];
  for (const secret of secrets) {
    for (const text of [
      secret,
      `the code is ${secret}.`,
      `{"a":"${secret}"}`,
      `first\n${secret}\nlast`,
      JSON.stringify(`first\n${secret}`),
      `(${secret})`,
    ]) {
      const clean = redactText(text);
      assert.ok(clean.includes(HIDDEN), `${text} → ${clean}`);
      assert.ok(!clean.includes(secret), `${text} → ${clean}`);
    }
  }
});

test("hides credentials in headers, URLs and assignments", () => {
  assert.equal(redactText("Authorization: Bearer abc.def-1"), `Authorization: Bearer ${HIDDEN}`);
  assert.equal(redactText("postgres://app:pw@db/x"), `postgres://${HIDDEN}@db/x`);
  assert.equal(redactText("GET /x?access_token=abc&y=1"), `GET /x?access_token=${HIDDEN}&y=1`);
  const key = Buffer.alloc(32, 5).toString("base64");
  assert.ok(!redactText(`{"noiseKey":"${key}"}`).includes(key));
  assert.ok(!redactText(`privKey: ${key}`).includes(key));
});

test("masks phones and JIDs", () => {
  assert.equal(maskDigits("+7 900 123-45-67"), "7900*****67");
  assert.equal(maskDigits("123"), "***");
  assert.equal(redactText("call +79001234567 now"), "call 7900*****67 now");
  const jid = redactText("from 79001234567:12@s.whatsapp.net to 120363041234567890@g.us");
  assert.equal(jid, "from 7900*****67:12@s.whatsapp.net to 1203************90@g.us");
});

test("leaves ordinary text alone", () => {
  for (const text of [
    "0199e1c2-7f3a-7123-8459-1c2d3e4f5a6b",
    "0199E1C2-7F3A-7123-8459-1C2D3E4F5A6B",
    "2026-10-12T10:00:00.000Z",
    "connection to 127.0.0.1:5432 refused",
    "READ-ONLY transaction",
    "ACCEPTED",
    "20261012",
    "session.connected.962302.num_0199e1c2",
    "a fully-functional real-time part",
  ]) {
    assert.equal(redactText(text), text);
  }
});

test("hides by name and masks people, at any depth", () => {
  const clean = redactValue({
    company_id: "962302",
    phone: "79001234567",
    to: "79001234567@s.whatsapp.net",
    from: "STARTING",
    msisdn: 79001234567,
    adminEmail: "ada@example.com",
    nested: { accessToken: "abc", list: [{ pairing_code: "ABCDEFGH" }] },
    code: "ABCDEFGH",
    creds: { noiseKey: { private: "x" } },
    text: "hello",
    raw: Buffer.from("hello"),
    at: new Date("2026-01-01T00:00:00Z"),
    map: new Map([["qr", "x"]]),
  });
  assert.deepEqual(clean, {
    company_id: "962302",
    phone: "7900*****67",
    to: "7900*****67@s.whatsapp.net",
    from: "STARTING",
    msisdn: "7900*****67",
    adminEmail: "a***@example.com",
    nested: { accessToken: HIDDEN, list: [{ pairing_code: HIDDEN }] },
    code: HIDDEN,
    creds: HIDDEN,
    text: HIDDEN,
    raw: "[5 bytes]",
    at: "2026-01-01T00:00:00.000Z",
    map: { qr: HIDDEN },
  });
});

test("masks numbers that are field names", () => {
  const clean = JSON.stringify(redactValue({ sent: { "79001234567@s.whatsapp.net": 1 } }));
  assert.ok(!clean.includes("79001234567"), clean);
});

test("survives cycles and long input", () => {
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  assert.ok(JSON.stringify(redactValue(cycle)).includes("[deep]"));
  assert.ok(redactText("x".repeat(100_000)).length < 5_000);
  assert.equal((redactValue(Array.from({ length: 200 })) as unknown[]).length, 51);
});

test("an error shows its type, message, stack, code and cause, and nothing else", () => {
  const error = Object.assign(new Error("duplicate key for +79001234567"), {
    code: "23505",
    detail: "Key (phone)=(79001234567) already exists.",
    parameters: ["79001234567"],
    cause: Object.assign(new TypeError("code was ABCD-EFGH"), { config: { token: "t" } }),
  });
  const described = describeError(error);
  assert.deepEqual(Object.keys(described).toSorted(), [
    "cause",
    "code",
    "message",
    "stack",
    "type",
  ]);
  const line = JSON.stringify(described);
  for (const leak of ["79001234567", "ABCD-EFGH", "already exists"]) {
    assert.ok(!line.includes(leak), leak);
  }
  assert.equal(described["code"], "23505");
});

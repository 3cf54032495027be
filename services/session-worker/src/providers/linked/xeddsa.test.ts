import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { Curve, generateSignalPubKey } from "@whiskeysockets/baileys";
import { rememberVerified, repairSignatureCheck, verifyXEdDSA } from "./xeddsa.ts";

it("accepts what libsignal signs, and nothing else", () => {
  for (let i = 0; i < 50; i += 1) {
    const key = Curve.generateKeyPair();
    const message = randomBytes(i);
    const signature = Curve.sign(key.private, message);
    assert.equal(verifyXEdDSA(key.public, message, signature), true);
    assert.equal(
      verifyXEdDSA(generateSignalPubKey(key.public), message, signature),
      true,
      "with its type byte",
    );
    const bent = Buffer.from(signature);
    bent[i] = (bent[i] ?? 0) ^ 1;
    assert.equal(verifyXEdDSA(key.public, message, bent), false, "a bent signature");
    assert.equal(
      verifyXEdDSA(key.public, Buffer.concat([message, Buffer.from("x")]), signature),
      false,
    );
    assert.equal(
      verifyXEdDSA(Curve.generateKeyPair().public, message, signature),
      false,
      "another key",
    );
  }
  assert.equal(verifyXEdDSA(Buffer.alloc(32), Buffer.alloc(1), Buffer.alloc(64)), false);
  assert.equal(verifyXEdDSA(Buffer.alloc(5), Buffer.alloc(1), Buffer.alloc(64)), false);
  assert.equal(verifyXEdDSA(Buffer.alloc(32), Buffer.alloc(1), Buffer.alloc(3)), false);
});

it("stock Baileys accepts a forged signature; repaired it does not", () => {
  const forged = [Curve.generateKeyPair().public, Buffer.from("x"), Buffer.alloc(64)] as const;
  assert.equal(
    Curve.verify(...forged),
    true,
    "when this fails the library has mended it: drop the repair",
  );
  repairSignatureCheck();
  assert.equal(Curve.verify(...forged), false);
});

it("what was verified is not verified again; what was refused, or differs in any byte, is", () => {
  const key = Curve.generateKeyPair();
  const message = randomBytes(40);
  const signature = Curve.sign(key.private, message);
  let checks = 0;
  const check = rememberVerified((...given) => {
    checks += 1;
    return verifyXEdDSA(...given);
  });
  assert.equal(check(key.public, message, signature), true);
  assert.equal(check(key.public, message, signature), true);
  assert.equal(checks, 1);
  for (const place of [0, 1, 2]) {
    const bent = [key.public, message, signature].map((bytes) => Buffer.from(bytes));
    const bytes = bent[place] ?? Buffer.alloc(1);
    bytes[9] = (bytes[9] ?? 0) ^ 1;
    const [a, b, c] = bent as [Buffer, Buffer, Buffer];
    assert.equal(check(a, b, c), false);
    assert.equal(check(a, b, c), false);
  }
  assert.equal(checks, 7);
});

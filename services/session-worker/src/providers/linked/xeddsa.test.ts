import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { it } from "node:test";
import { Curve, generateSignalPubKey } from "@whiskeysockets/baileys";
import { repairSignatureCheck, verifyXEdDSA } from "./xeddsa.ts";

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

import assert from "node:assert/strict";
import { test } from "node:test";
import { Curve } from "@whiskeysockets/baileys";
import { verifySignature } from "libsignal/src/curve.js";
import { signXEdDSA, verifyXEdDSA } from "./xeddsa.ts";

const message = Buffer.from("a message");

test("signatures of the client library pass, with both key forms", () => {
  for (let i = 0; i < 4; i++) {
    const keys = Curve.generateKeyPair();
    const signature = Curve.sign(keys.private, message);
    const typed = Buffer.concat([Buffer.from([5]), keys.public]);
    assert.equal(verifyXEdDSA(keys.public, message, signature), true);
    assert.equal(verifyXEdDSA(typed, message, signature), true);
  }
});

test("another message, key or signature does not pass", () => {
  const keys = Curve.generateKeyPair();
  const signature = Curve.sign(keys.private, message);
  const bent = Buffer.from(signature);
  bent.writeUInt8(bent.readUInt8(3) ^ 1, 3);
  assert.equal(verifyXEdDSA(keys.public, Buffer.from("another"), signature), false);
  assert.equal(verifyXEdDSA(Curve.generateKeyPair().public, message, signature), false);
  assert.equal(verifyXEdDSA(keys.public, message, bent), false);
});

test("what is malformed is false, not an exception", () => {
  const { public: key } = Curve.generateKeyPair();
  assert.equal(verifyXEdDSA(key, message, Buffer.alloc(0)), false);
  assert.equal(verifyXEdDSA(key, message, Buffer.alloc(64)), false);
  assert.equal(verifyXEdDSA(Buffer.alloc(3), message, Buffer.alloc(64)), false);
  assert.equal(verifyXEdDSA(Buffer.alloc(32, 255), message, Buffer.alloc(64, 255)), false);
});

test("own signatures pass our check and that of the client library's Signal code", () => {
  for (let i = 0; i < 8; i++) {
    const keys = Curve.generateKeyPair();
    for (const text of ["one", "two"]) {
      const signature = signXEdDSA(keys, Buffer.from(text));
      assert.equal(verifyXEdDSA(keys.public, Buffer.from(text), signature), true);
      const typed = Buffer.concat([Buffer.from([5]), keys.public]);
      assert.equal(verifySignature(typed, Buffer.from(text), signature), true);
    }
  }
});

test("a pair whose halves do not belong together cannot sign", () => {
  const mixed = {
    public: Curve.generateKeyPair().public,
    private: Curve.generateKeyPair().private,
  };
  assert.throws(() => signXEdDSA(mixed, message), /belong together/);
});

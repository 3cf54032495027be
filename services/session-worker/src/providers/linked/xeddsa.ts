/**
 * XEdDSA verification through Node's native Ed25519.
 *
 * Baileys 7.0.0-rc14 with libsignal 6 accepts any signature: libsignal's verifySignature answers a boolean,
 * Baileys' `Curve.verify` waits for an exception. So neither the server's certificate nor the phone's
 * account signature is ever checked, and each connection pays some 30 ms of JavaScript for nothing. `Curve`
 * is a public, mutable export: one assignment repairs both.
 */
import { createPublicKey, verify, type KeyObject } from "node:crypto";
import { Curve } from "@whiskeysockets/baileys";
import { Lru } from "./lru.ts";

const P = 2n ** 255n - 19n;
/** DER prefix of an Ed25519 SubjectPublicKeyInfo. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
/** The certificate keys repeat on every connection; making a key object costs more than a verification. */
const MAX_CACHED_KEYS = 1_000;
const keys = new Map<string, KeyObject>();

/**
 * The server shows every connection the same certificates: what has been verified once, byte for byte, is not
 * verified again. It is a twentieth of what a login costs.
 */
const MAX_VERIFIED = 1_000;

/** Replaces the check that never fails. Process-wide; done once at start. */
export function repairSignatureCheck(): void {
  Curve.verify = rememberVerified(verifyXEdDSA);
}

type Verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;

/** Remembers what was found to be true, by all of its bytes; what is not is checked each time. */
export function rememberVerified(check: Verify): Verify {
  const verified = new Lru<true>(MAX_VERIFIED);
  return (publicKey, message, signature) => {
    const name = [publicKey, message, signature]
      .map((bytes) => Buffer.from(bytes).toString("base64"))
      .join("|");
    if (verified.get(name)) return true;
    const isTrue = check(publicKey, message, signature);
    if (isTrue) verified.set(name, true);
    return isTrue;
  };
}

/** Is `signature` (64 bytes) over `message` made with the private half of this X25519 key (32 bytes, or 33 with its type byte)? */
export function verifyXEdDSA(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const key = Buffer.from(publicKey.length === 33 ? publicKey.subarray(1) : publicKey);
  if (key.length !== 32 || signature.length !== 64) return false;
  const plain = Buffer.from(signature);
  // XEdDSA keeps the sign of the Edwards x coordinate in the one bit of s that is always zero.
  const last = plain[63] ?? 0;
  plain[63] = last & 0x7f;
  try {
    return verify(null, message, edwardsKey(key, last & 0x80), plain);
  } catch {
    // A point that is not on the curve is a forged key, not a fault.
    return false;
  }
}

function edwardsKey(montgomery: Buffer, sign: number): KeyObject {
  const id = `${montgomery.toString("base64")}${sign}`;
  const known = keys.get(id);
  if (known) return known;
  const y = edwardsY(montgomery);
  y[31] = (y[31] ?? 0) | sign;
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, y]),
    format: "der",
    type: "spki",
  });
  if (keys.size >= MAX_CACHED_KEYS) keys.clear();
  keys.set(id, key);
  return key;
}

/** Montgomery u → Edwards y = (u − 1) / (u + 1), the birational map of RFC 7748; little endian both ways. */
function edwardsY(montgomery: Buffer): Buffer {
  const bigEndian = Buffer.from(montgomery.toReversed());
  bigEndian[0] = (bigEndian[0] ?? 0) & 0x7f;
  const u = BigInt(`0x${bigEndian.toString("hex")}`);
  const y = modulo((u - 1n) * power(u + 1n, P - 2n));
  return Buffer.from(Buffer.from(y.toString(16).padStart(64, "0"), "hex").toReversed());
}

function modulo(value: bigint): bigint {
  return ((value % P) + P) % P;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let factor = modulo(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * factor) % P;
    factor = (factor * factor) % P;
  }
  return result;
}

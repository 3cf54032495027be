import { createHash, createPrivateKey, createPublicKey, randomBytes, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";
import type { KeyPair } from "./crypto.ts";

// XEdDSA lets an X25519 key sign: the verifier maps the Montgomery u coordinate to the Edwards y
// coordinate (RFC 7748) and checks an ordinary Ed25519 signature. Done natively, because the client
// library's own check never says no, and its signature costs 15 ms.

const PRIME = 2n ** 255n - 19n;
/** order of the base point */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8_ED25519 = Buffer.from("302e020100300506032b657004220420", "hex");
const CACHE_LIMIT = 1000;

const keys = new Map<string, KeyObject>();

/**
 * Checks an XEdDSA signature.
 * @param publicKey X25519 public key, 32 bytes, or 33 with the leading type byte
 * @returns false for a wrong signature and for anything malformed; never throws
 */
export function verifyXEdDSA(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const raw = publicKey.length === 33 ? publicKey.subarray(1) : publicKey;
  if (raw.length !== 32 || signature.length !== 64) return false;
  const plain = Buffer.from(signature);
  const last = plain.readUInt8(63);
  plain.writeUInt8(last & 0x7f, 63); // the free top bit carries the sign of the Edwards x coordinate
  try {
    return verify(null, message, edwardsKey(raw, last & 0x80), plain);
  } catch {
    return false; // not a point of the curve
  }
}

/** Edwards form of a key pair's public key, kept with the pair */
const edwardsPoints = new WeakMap<KeyPair, Buffer>();

/** An XEdDSA signature, 64 bytes, in the form the client library makes. */
export function signXEdDSA(keyPair: KeyPair, message: Uint8Array): Buffer {
  const known = edwardsPoints.get(keyPair);
  if (known) return signWith(keyPair, known, message);
  // which of the two points with this y belongs to the private key is found by trying
  const point = edwardsY(keyPair.public);
  for (const sign of [0, 0x80]) {
    const candidate = Buffer.from(point);
    candidate.writeUInt8(candidate.readUInt8(31) | sign, 31);
    const signature = signWith(keyPair, candidate, message);
    if (!verifyXEdDSA(keyPair.public, message, signature)) continue;
    edwardsPoints.set(keyPair, candidate);
    return signature;
  }
  throw new Error("the two halves of the key pair do not belong together");
}

/**
 * The nonce is the secret scalar of a throw-away Ed25519 key: so its point comes natively. (Its fixed top and
 * bottom bits would be too little randomness for keys that must last; these are a simulator's.)
 */
function signWith(keyPair: KeyPair, point: Buffer, message: Uint8Array): Buffer {
  const seed = randomBytes(32);
  const nonce = clamp(sha512(seed).subarray(0, 32));
  const nonceKey = createPrivateKey({
    key: Buffer.concat([PKCS8_ED25519, seed]),
    format: "der",
    type: "pkcs8",
  });
  const noncePoint = createPublicKey(nonceKey)
    .export({ format: "der", type: "spki" })
    .subarray(-32);
  const challenge = fromLittle(sha512(noncePoint, point, message));
  const scalar = (fromLittle(nonce) + challenge * fromLittle(clamp(keyPair.private))) % ORDER;
  const signature = Buffer.concat([noncePoint, toLittle(scalar)]);
  signature.writeUInt8(signature.readUInt8(63) | (point.readUInt8(31) & 0x80), 63);
  return signature;
}

function sha512(...parts: Uint8Array[]): Buffer {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

function clamp(scalar: Uint8Array): Buffer {
  const out = Buffer.from(scalar);
  out.writeUInt8(out.readUInt8(0) & 0xf8, 0);
  out.writeUInt8((out.readUInt8(31) & 0x7f) | 0x40, 31);
  return out;
}

function edwardsKey(montgomery: Uint8Array, sign: number): KeyObject {
  const id = `${sign}:${Buffer.from(montgomery).toString("base64")}`;
  const known = keys.get(id);
  if (known) return known;
  const point = edwardsY(montgomery);
  point.writeUInt8(point.readUInt8(31) | sign, 31);
  const key = createPublicKey({
    key: Buffer.concat([SPKI_ED25519, point]),
    format: "der",
    type: "spki",
  });
  if (keys.size >= CACHE_LIMIT) keys.clear();
  keys.set(id, key);
  return key;
}

/** y = (u - 1) / (u + 1), little endian in and out */
function edwardsY(montgomery: Uint8Array): Buffer {
  const masked = Buffer.from(montgomery);
  masked.writeUInt8(masked.readUInt8(31) & 0x7f, 31);
  const u = fromLittle(masked);
  return toLittle(mod((u - 1n) * inverse(mod(u + 1n))));
}

function mod(value: bigint): bigint {
  return ((value % PRIME) + PRIME) % PRIME;
}

/** Modulo the prime, by the extended Euclidean algorithm; of 0 it is 0. */
function inverse(value: bigint): bigint {
  let [a, b] = [value, PRIME];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return a === 1n ? mod(x) : 0n;
}

function fromLittle(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes.toReversed()).toString("hex")}`);
}

function toLittle(value: bigint): Buffer {
  return Buffer.from(Buffer.from(value.toString(16).padStart(64, "0"), "hex").toReversed());
}

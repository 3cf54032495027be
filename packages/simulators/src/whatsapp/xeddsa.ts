import { createPublicKey, verify } from "node:crypto";
import type { KeyObject } from "node:crypto";

// XEdDSA lets an X25519 key sign: the verifier maps the Montgomery u coordinate to the Edwards y
// coordinate (RFC 7748) and checks an ordinary Ed25519 signature. Done natively, because the client
// library's own check never says no and costs 15 ms.

const PRIME = 2n ** 255n - 19n;
const SPKI_ED25519 = Buffer.from("302a300506032b6570032100", "hex");
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
  const big = Buffer.from(montgomery.toReversed());
  big.writeUInt8(big.readUInt8(0) & 0x7f, 0);
  const u = BigInt(`0x${big.toString("hex")}`);
  const y = mod((u - 1n) * power(u + 1n, PRIME - 2n));
  return Buffer.from(Buffer.from(y.toString(16).padStart(64, "0"), "hex").toReversed());
}

function mod(value: bigint): bigint {
  return ((value % PRIME) + PRIME) % PRIME;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

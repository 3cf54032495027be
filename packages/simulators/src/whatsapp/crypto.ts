import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
} from "node:crypto";

const EMPTY = Buffer.alloc(0);
const TAG_BYTES = 16;

export type KeyPair = { public: Uint8Array; private: Uint8Array };

export function sha256(data: Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

export function hmacSha256(key: Uint8Array, data: Uint8Array): Buffer {
  return createHmac("sha256", key).update(data).digest();
}

export function hkdf(
  secret: Uint8Array,
  length: number,
  salt: Uint8Array = EMPTY,
  info = "",
): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, length));
}

/** AES-256-GCM, tag at the end. */
export function gcmEncrypt(
  key: Uint8Array,
  iv: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array = EMPTY,
): Buffer {
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(aad);
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws when the tag does not match, or the input is shorter than a tag */
export function gcmDecrypt(
  key: Uint8Array,
  iv: Uint8Array,
  data: Uint8Array,
  aad: Uint8Array = EMPTY,
): Buffer {
  if (data.length < TAG_BYTES) throw new Error("ciphertext is shorter than its tag");
  const end = data.length - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad).setAuthTag(data.subarray(end));
  return Buffer.concat([decipher.update(data.subarray(0, end)), decipher.final()]);
}

/** AES-256-CTR: encrypting and decrypting are the same operation, and nothing tells a wrong key. */
export function ctr(key: Uint8Array, iv: Uint8Array, data: Uint8Array): Buffer {
  const cipher = createCipheriv("aes-256-ctr", key, iv);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}

/** A stanza id as the server makes them. */
export function stanzaId(): string {
  return randomBytes(8).toString("hex").toUpperCase();
}

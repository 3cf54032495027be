import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { hkdf, hmacSha256, sha256 } from "../crypto.ts";

const KEY_NAMES = {
  image: "WhatsApp Image Keys",
  sticker: "WhatsApp Image Keys",
  video: "WhatsApp Video Keys",
  audio: "WhatsApp Audio Keys",
  document: "WhatsApp Document Keys",
} as const;
export type MediaKind = keyof typeof KEY_NAMES;

export const MEDIA_KINDS = Object.keys(KEY_NAMES) as MediaKind[];

const MAC_BYTES = 10;
/** the oldest files go when there are more bytes than this */
const LIMIT_BYTES = 256 * 1024 * 1024;

/** What a media message says about its file. */
export type MediaFields = {
  url: string;
  mediaKey: Uint8Array;
  fileSha256: Uint8Array;
  fileEncSha256: Uint8Array;
  fileLength: number;
};

/** Encrypted files, as the server keeps them: it has no keys. */
export class MediaStore {
  readonly #files = new Map<string, Buffer>();
  #bytes = 0;

  /** @returns the file's name */
  put(body: Buffer): string {
    const name = sha256(body).toString("hex").slice(0, 32);
    if (this.#files.has(name)) return name;
    this.#files.set(name, body);
    this.#bytes += body.length;
    for (const [oldest, file] of this.#files) {
      if (this.#bytes <= LIMIT_BYTES || oldest === name) break;
      this.#files.delete(oldest);
      this.#bytes -= file.length;
    }
    return name;
  }

  get(name: string): Buffer | undefined {
    return this.#files.get(name);
  }

  delete(name: string): boolean {
    this.#bytes -= this.#files.get(name)?.length ?? 0;
    return this.#files.delete(name);
  }

  get count(): number {
    return this.#files.size;
  }
}

/** Encrypts a file as a sending phone does: AES-256-CBC, then ten bytes of an HMAC. */
export function encryptMedia(
  kind: MediaKind,
  plain: Uint8Array,
): { body: Buffer; fields: Omit<MediaFields, "url"> } {
  const mediaKey = randomBytes(32);
  const { iv, cipherKey, macKey } = expand(kind, mediaKey);
  const cipher = createCipheriv("aes-256-cbc", cipherKey, iv);
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  const body = Buffer.concat([encrypted, macOf(macKey, iv, encrypted)]);
  return {
    body,
    fields: {
      mediaKey,
      fileSha256: sha256(plain),
      fileEncSha256: sha256(body),
      fileLength: plain.length,
    },
  };
}

/** Opens a downloaded file and checks everything a phone checks. @throws when something does not fit */
export function decryptMedia(kind: MediaKind, body: Buffer, fields: MediaFields): Buffer {
  if (!sha256(body).equals(fields.fileEncSha256)) throw new Error("the encrypted file was changed");
  const { iv, cipherKey, macKey } = expand(kind, fields.mediaKey);
  const encrypted = body.subarray(0, -MAC_BYTES);
  if (!macOf(macKey, iv, encrypted).equals(body.subarray(-MAC_BYTES))) {
    throw new Error("the file's MAC is wrong");
  }
  const decipher = createDecipheriv("aes-256-cbc", cipherKey, iv);
  const plain = Buffer.concat([decipher.update(encrypted), decipher.final()]);
  if (!sha256(plain).equals(fields.fileSha256)) throw new Error("the file's hash is wrong");
  return plain;
}

function macOf(macKey: Uint8Array, iv: Uint8Array, encrypted: Uint8Array): Buffer {
  return hmacSha256(macKey, Buffer.concat([iv, encrypted])).subarray(0, MAC_BYTES);
}

function expand(kind: MediaKind, mediaKey: Uint8Array) {
  const keys = hkdf(mediaKey, 112, undefined, KEY_NAMES[kind]);
  return {
    iv: keys.subarray(0, 16),
    cipherKey: keys.subarray(16, 48),
    macKey: keys.subarray(48, 80),
  };
}

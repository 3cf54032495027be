import { createHmac } from "node:crypto";

/** JSON as Meta writes it: what is not ASCII as lower-case escapes. These bytes are what is signed. */
export function metaJson(value: unknown): Buffer {
  const escaped = JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Buffer.from(escaped);
}

/** The header `X-Hub-Signature-256`. */
export function signatureOf(body: Uint8Array, secret: string): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

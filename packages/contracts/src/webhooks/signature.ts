/** Signatures of what we send to a customer's address, as https://www.standardwebhooks.com says. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** `whsec_` and 32 random bytes in base64. */
export function newWebhookSecret(): string {
  return `whsec_${randomBytes(32).toString("base64")}`;
}

/** `at`: seconds since 1970, as text. `secret`: `whsec_` and base64. */
export function signatureOf(secret: string, id: string, at: string, body: Uint8Array): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const hmac = createHmac("sha256", key).update(`${id}.${at}.`).update(body);
  return `v1,${hmac.digest("base64")}`;
}

export type SignedHeaders = {
  "webhook-id": string;
  "webhook-timestamp": string;
  "webhook-signature": string;
};

/** `secrets`: the current one first; a former one signs too while its overlap lasts. */
export function signedHeaders(
  secrets: readonly string[],
  id: string,
  now: Date,
  body: Uint8Array,
): SignedHeaders {
  const at = String(Math.floor(now.getTime() / 1_000));
  return {
    "webhook-id": id,
    "webhook-timestamp": at,
    "webhook-signature": secrets.map((secret) => signatureOf(secret, id, at, body)).join(" "),
  };
}

const TOLERANCE_S = 300;

/** What a receiver checks: one of the signatures fits, and it was made within 5 minutes of `now`. */
export function isSignedBy(
  secret: string,
  headers: Readonly<Record<string, string | undefined>>,
  body: Uint8Array,
  now: Date,
): boolean {
  const id = headers["webhook-id"] ?? "";
  const at = headers["webhook-timestamp"] ?? "";
  const age = Math.abs(now.getTime() / 1_000 - Number(at));
  if (!/^\d+$/.test(at) || age > TOLERANCE_S) return false;
  const wanted = Buffer.from(signatureOf(secret, id, at, body));
  return (headers["webhook-signature"] ?? "").split(" ").some((signature) => {
    const given = Buffer.from(signature);
    return given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

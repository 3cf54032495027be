import { createHash, createHmac, timingSafeEqual } from "node:crypto";

const HEADER = /^sha256=([0-9a-f]{64})$/;

/**
 * Whether one of the secrets has signed these very bytes (`X-Hub-Signature-256`). All are tried, whichever fits,
 * and compared in constant time. Nothing but lower-case hex behind `sha256=` counts.
 */
export function isSignedBy(
  secrets: readonly string[],
  body: Uint8Array,
  header: string | readonly string[] | undefined,
): boolean {
  const [, hex] = (typeof header === "string" && HEADER.exec(header)) || [];
  if (hex === undefined) return false;
  const given = Buffer.from(hex, "hex");
  let isSigned = false;
  for (const secret of secrets) {
    const own = createHmac("sha256", secret).update(body).digest();
    isSigned = timingSafeEqual(own, given) || isSigned;
  }
  return isSigned;
}

/** Compares texts of any length without telling by time where they differ. */
export function isSameText(one: string, other: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(one), hash(other));
}

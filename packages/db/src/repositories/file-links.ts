/** Links to a file for a server that can fetch and cannot log in: sealed by the company's key, for some time. */
import { CryptoError } from "../errors.ts";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import type { Executor } from "../open.ts";

export type FileLink = { mediaId: string; until: Date };

const CONTEXT: SealContext = { numberNo: null, kind: "file-link", key: "v1" };
const TOKEN = /^([1-9][0-9]{0,9})\.([A-Za-z0-9_-]{20,500})$/;

/** Fits a URL. */
export async function sealFileLink(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  { mediaId, until }: FileLink,
): Promise<string> {
  const sealer = await keyring.sealer(executor, companyNo);
  const plain = Buffer.from(JSON.stringify([mediaId, until.getTime()]));
  return `${companyNo}.${sealer.seal(CONTEXT, plain).toString("base64url")}`;
}

/** Which company a link says it is of: nothing is proven yet. Undefined: it is none. */
export function companyOfFileLink(token: string): number | undefined {
  const [, companyNo] = TOKEN.exec(token) ?? [];
  return companyNo === undefined ? undefined : Number(companyNo);
}

/** Undefined: it is none of ours, was changed, or its time is over. */
export async function openFileLink(
  executor: Executor,
  keyring: Keyring,
  token: string,
  now: Date,
): Promise<FileLink | undefined> {
  const [, companyNo, sealed = ""] = TOKEN.exec(token) ?? [];
  if (companyNo === undefined) return undefined;
  try {
    const sealer = await keyring.sealer(executor, Number(companyNo));
    const plain = sealer.open(CONTEXT, Buffer.from(sealed, "base64url")).toString();
    const [mediaId, until] = JSON.parse(plain) as [string, number];
    return until > now.getTime() ? { mediaId, until: new Date(until) } : undefined;
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** What a sealed value of the auth state is bound to besides its company: moved elsewhere, it cannot be opened. */
import type { SealContext } from "../crypto/keyring.ts";

export const credsContext = (numberNo: number): SealContext => ({
  numberNo,
  kind: "creds",
  key: "",
});
export const keyContext = (numberNo: number, kind: string, key: string): SealContext => ({
  numberNo,
  kind: `key-${kind}`,
  key,
});
export const packContext = (numberNo: number, kind: string, packId: string): SealContext => ({
  numberNo,
  kind: `pack-${kind}`,
  key: packId,
});
export const journalContext = (numberNo: number, hash: Buffer): SealContext => ({
  numberNo,
  kind: "journal",
  key: hash.toString("hex"),
});
export const mediaContext = (numberNo: number, mediaId: string): SealContext => ({
  numberNo,
  kind: "media",
  key: mediaId,
});

import { randomBytes } from "node:crypto";
import { proto } from "@whiskeysockets/baileys";
import { hmacSha256 } from "./crypto.ts";
import type { KeyPair } from "./crypto.ts";
import { StanzaError, unixNow } from "./stanza.ts";
import { signXEdDSA, verifyXEdDSA } from "./xeddsa.ts";

const ACCOUNT_PREFIX = Buffer.from([6, 0]);
const DEVICE_PREFIX = Buffer.from([6, 1]);
const { E2EE } = proto.ADVEncryptionType;

/** A phone's statement that a companion's identity key belongs to its account. */
export type SignedCompanion = {
  details: Uint8Array;
  accountKey: Buffer;
  accountSignature: Uint8Array;
  /** encoded `ADVSignedDeviceIdentityHMAC`: the statement sealed with the secret of the QR or the code */
  sealed: Uint8Array;
};

export type CompanionProof = { identity: Buffer; advSecret: Buffer; keyIndex: number };

export function signCompanion(accountKeys: KeyPair, companion: CompanionProof): SignedCompanion {
  const details = proto.ADVDeviceIdentity.encode({
    rawId: randomBytes(4).readUInt32BE(),
    timestamp: unixNow(),
    keyIndex: companion.keyIndex,
    accountType: E2EE,
    deviceType: E2EE,
  }).finish();
  const message = Buffer.concat([ACCOUNT_PREFIX, details, companion.identity]);
  const accountSignature = signXEdDSA(accountKeys, message);
  const accountKey = Buffer.from(accountKeys.public);
  const signed = proto.ADVSignedDeviceIdentity.encode({
    details,
    accountSignatureKey: accountKey,
    accountSignature,
  }).finish();
  const sealed = proto.ADVSignedDeviceIdentityHMAC.encode({
    details: signed,
    hmac: hmacSha256(companion.advSecret, signed),
  }).finish();
  return { details, accountKey, accountSignature, sealed };
}

/** Checks the signature the companion added with its own identity key. @throws {StanzaError} if it is wrong */
export function checkDeviceSignature(
  signed: SignedCompanion,
  companionIdentity: Buffer,
  encoded: Uint8Array,
): void {
  const { deviceSignature } = proto.ADVSignedDeviceIdentity.decode(encoded);
  const message = Buffer.concat([
    DEVICE_PREFIX,
    signed.details,
    companionIdentity,
    signed.accountKey,
  ]);
  if (!deviceSignature || !verifyXEdDSA(companionIdentity, message, deviceSignature)) {
    throw new StanzaError("the device signature is wrong");
  }
}

import type { WhatsAppServer } from "../server.ts";
import { HttpError } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { readMsisdn } from "./msisdn.ts";

/**
 * `POST /adopt`: registers a device without the linking dialogue, for load tests. Takes the public half of a
 * client's credentials (binary as base64, `preKeys` packed: 3 bytes id, 32 bytes key each) and answers what
 * linking would have put into them: `me` and `account`.
 */
export function adopt(server: WhatsAppServer, body: JsonObject): unknown {
  const signedPreKey = body["signedPreKey"] as JsonObject | undefined;
  const registration = {
    noiseKey: key(body["noiseKey"], "noiseKey", 32),
    identity: key(body["identity"], "identity", 32),
    registrationId: count(body["registrationId"], "registrationId"),
    signedPreKey: {
      id: count(signedPreKey?.["id"], "signedPreKey.id"),
      value: key(signedPreKey?.["value"], "signedPreKey.value", 32),
      signature: key(signedPreKey?.["signature"], "signedPreKey.signature", 64),
    },
    displayName: "Adopted",
    platform: "UNKNOWN",
  };
  const preKeys = key(body["preKeys"] ?? "", "preKeys");
  if (preKeys.length % 35 !== 0)
    throw new HttpError(400, "bad_body", "preKeys has a broken entry.");
  const { me, device, signed } = server.adopt(readMsisdn(body["phone"]), registration, preKeys);
  const account = {
    details: base64(signed.details),
    accountSignatureKey: base64(signed.accountKey),
    accountSignature: base64(signed.accountSignature),
  };
  return { deviceId: device.id, me, account };
}

function key(value: unknown, name: string, length?: number): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value, "base64") : undefined;
  if (!bytes || (length !== undefined && bytes.length !== length)) {
    throw new HttpError(400, "bad_body", `${name} is not the expected base64.`);
  }
  return bytes;
}

function count(value: unknown, name: string): number {
  if (!Number.isInteger(value) || Number(value) < 0) {
    throw new HttpError(400, "bad_body", `${name} must be a whole number.`);
  }
  return Number(value);
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

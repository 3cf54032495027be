import { setImmediate as nextTurn } from "node:timers/promises";
import type { Registration } from "../device.ts";
import type { WhatsAppServer } from "../server.ts";
import { asObject, HttpError } from "./json.ts";
import type { JsonObject } from "./json.ts";
import { readMsisdn } from "./msisdn.ts";

/** room for 500 devices with all their 812 one-time keys */
export const ADOPT_LIMIT_BYTES = 32 * 1024 * 1024;

/** devices between two chances for the server to do other work */
const PER_TURN = 20;

type Adoption = { phone: string; registration: Registration; preKeys: Buffer };

/**
 * `POST /adopt`: registers a device without the linking dialogue, for load tests. Takes the public half of a
 * client's credentials (binary as base64, `preKeys` packed: 3 bytes id, 32 bytes key each) and answers what
 * linking would have put into them: `me` and `account`. An array is answered by an array in the same order;
 * with one broken entry none is registered.
 */
export async function adopt(server: WhatsAppServer, json: unknown): Promise<unknown> {
  if (!Array.isArray(json)) return register(server, readAdoption(asObject(json)));
  const adoptions = json.map((each) => readAdoption(asObject(each)));
  const answers: unknown[] = [];
  for (const [index, each] of adoptions.entries()) {
    if (index % PER_TURN === PER_TURN - 1) await nextTurn();
    answers.push(register(server, each));
  }
  return answers;
}

function readAdoption(body: JsonObject): Adoption {
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
  return { phone: readMsisdn(body["phone"]), registration, preKeys };
}

function register(server: WhatsAppServer, { phone, registration, preKeys }: Adoption): unknown {
  const { me, device, signed } = server.adopt(phone, registration, preKeys);
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

import { Curve, initAuthCreds } from "@whiskeysockets/baileys";
import type { WhatsAppSimulator } from "../src/index.ts";
import { Client, MemoryAuth } from "./client.ts";

// Credentials that were never linked: made here, registered with POST /adopt.

export type AdoptAnswer = {
  deviceId: number;
  me: { id: string; lid: string; name: string };
  account: Record<string, string>;
};

/** Credentials with one-time keys, and what `POST /adopt` wants to know about them. */
export function makeCredentials(phone: string, preKeyCount = 30) {
  const auth = new MemoryAuth();
  const { noiseKey, signedIdentityKey, registrationId, signedPreKey } = initAuthCreds();
  Object.assign(auth.creds, { noiseKey, signedIdentityKey, registrationId, signedPreKey });
  const preKeys = (auth.data.keys["pre-key"] ??= {});
  const packed = Array.from({ length: preKeyCount }, (_, index) => {
    const pair = Curve.generateKeyPair();
    preKeys[String(index + 1)] = pair;
    return Buffer.concat([Buffer.from([0, 0, index + 1]), pair.public]);
  });
  const request = {
    phone,
    noiseKey: base64(noiseKey.public),
    identity: base64(signedIdentityKey.public),
    registrationId,
    signedPreKey: {
      id: signedPreKey.keyId,
      value: base64(signedPreKey.keyPair.public),
      signature: base64(signedPreKey.signature),
    },
    preKeys: base64(Buffer.concat(packed)),
  };
  return { auth, request };
}

/** Writes into the credentials what linking would have written. */
export function adopted(auth: MemoryAuth, answer: AdoptAnswer, preKeyCount = 30): MemoryAuth {
  const account = Object.entries(answer.account).map(([name, value]) => [
    name,
    Buffer.from(value, "base64"),
  ]);
  Object.assign(auth.creds, {
    me: answer.me,
    account: Object.fromEntries(account) as unknown,
    nextPreKeyId: preKeyCount + 1,
    firstUnuploadedPreKeyId: preKeyCount + 1,
    accountSyncCounter: 1, // else the client waits 20 s for a history that never comes
  });
  return auth;
}

/** A device of this phone without the linking dialogue, logged in: quicker than a QR. */
export async function adoptedClient(
  sim: WhatsAppSimulator,
  phone: string,
  options: ConstructorParameters<typeof Client>[2] = {},
): Promise<Client> {
  const { auth, request } = makeCredentials(phone);
  const response = await fetch(`${sim.httpUrl}/adopt`, {
    method: "POST",
    body: JSON.stringify(request),
  });
  adopted(auth, (await response.json()) as AdoptAnswer);
  const live = sim.server.events.once("live", ({ account }) => account.phone === phone);
  const client = new Client(sim.url, auth, options);
  await Promise.all([client.open(), live]);
  return client;
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

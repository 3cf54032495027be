import {
  encodeWAMessage,
  generateSignalPubKey,
  proto,
  unpadRandomMax16,
} from "@whiskeysockets/baileys";
import { ProtocolAddress, SessionBuilder, SessionCipher } from "libsignal";
import type { Account } from "../account.ts";
import type { Device, KeyBundle } from "../device.ts";
import type { Phone } from "../phone.ts";
import { bytes, el } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { Party } from "./letter.ts";
import { keepSessionsWhole } from "./whole-sessions.ts";

/** libsignal's type of a message that opens a session */
const OPENS_SESSION = 3;

export type Encrypted = { type: "pkmsg" | "msg"; ciphertext: Buffer };
type OutgoingSession = Parameters<SessionBuilder["initOutgoing"]>[0];

/** One ratchet step towards a device; opens a session with its published keys if there is none. */
export async function encryptFor(
  phone: Phone,
  target: Phone | Device,
  message: proto.IMessage,
): Promise<Encrypted> {
  const address = addressOf(phone.account, { account: target.account, deviceId: target.id });
  if (!phone.keys.hasOpenSession(address.toString())) {
    await new SessionBuilder(phone.keys, address).initOutgoing(outgoing(target.bundle()));
  }
  const cipher = new SessionCipher(phone.keys, address);
  const { type, body } = await cipher.encrypt(encodeWAMessage(message));
  phone.account.server.touch();
  return {
    type: type === OPENS_SESSION ? "pkmsg" : "msg",
    ciphertext: Buffer.from(body, "binary"),
  };
}

export function encNode(enc: Encrypted, attrs: Record<string, string> = {}): Stanza {
  return el("enc", { v: "2", type: enc.type, ...attrs }, enc.ciphertext);
}

/** Opens a `pkmsg` or `msg` of another device. @throws what libsignal throws when it cannot */
export async function decryptFrom(
  phone: Phone,
  sender: Party,
  enc: Stanza,
): Promise<proto.IMessage> {
  const cipher = new SessionCipher(phone.keys, addressOf(phone.account, sender));
  keepSessionsWhole(cipher);
  const body = bytes(enc) ?? Buffer.alloc(0);
  const padded =
    enc.attrs["type"] === "pkmsg"
      ? await cipher.decryptPreKeyWhisperMessage(body)
      : await cipher.decryptWhisperMessage(body);
  phone.account.server.touch();
  return proto.Message.decode(unpadRandomMax16(padded));
}

/** Forgets the session with a device: the next message opens a new one. */
export function dropSession(phone: Phone, other: Party): void {
  phone.keys.dropSession(addressOf(phone.account, other).toString());
  phone.account.server.touch();
}

/** libsignal serialises jobs process-wide by address name: naming both ends keeps the phones apart. */
function addressOf(owner: Account, { account, deviceId }: Party): ProtocolAddress {
  return new ProtocolAddress(`${owner.phone}~${account.phone}`, deviceId);
}

/** Without a one-time key the session is opened with the signed one alone; libsignal's types forget that. */
function outgoing({ registrationId, identity, signedPreKey, preKey }: KeyBundle): OutgoingSession {
  const session = {
    registrationId,
    identityKey: generateSignalPubKey(identity),
    signedPreKey: {
      keyId: signedPreKey.id,
      publicKey: generateSignalPubKey(signedPreKey.value),
      signature: signedPreKey.signature,
    },
  };
  if (!preKey) return session as unknown as OutgoingSession;
  return {
    ...session,
    preKey: { keyId: preKey.id, publicKey: generateSignalPubKey(preKey.value) },
  };
}

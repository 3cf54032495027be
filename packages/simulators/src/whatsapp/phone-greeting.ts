import { randomBytes } from "node:crypto";
import { deflateSync } from "node:zlib";
import { encodeWAMessage, generateSignalPubKey, proto } from "@whiskeysockets/baileys";
import { ProtocolAddress, SessionBuilder, SessionCipher } from "libsignal";
import type { Account } from "./account.ts";
import type { Device } from "./device.ts";
import { pnJid } from "./jid.ts";
import type { Phone } from "./phone.ts";
import { el, unixNow } from "./stanza.ts";

const { Type } = proto.Message.ProtocolMessage;
const { HistorySyncType } = proto.HistorySync;

const MESSAGE = 3; // libsignal's type of a message that opens a session

type HistoryKind = "INITIAL_BOOTSTRAP" | "PUSH_NAME";
export type Encrypted = { type: "pkmsg" | "msg"; ciphertext: Buffer };

/** After the first login: the app-state key, an inline history and push names, as encrypted peer messages. */
export async function greetCompanion(phone: Phone, device: Device): Promise<void> {
  const peer = async (prefix: string, message: proto.Message.IProtocolMessage) => {
    const encrypted = await encryptFor(phone, device, { protocolMessage: message });
    pushPeerMessage(phone.account, device, prefix, encrypted);
  };
  await peer("3AAS", {
    type: Type.APP_STATE_SYNC_KEY_SHARE,
    appStateSyncKeyShare: { keys: [appStateKey(device)] },
  });
  await peer("3AHS", history("INITIAL_BOOTSTRAP", { conversations: [] }));
  const pushnames = [{ id: pnJid(phone.account.phone), pushname: phone.account.name }];
  await peer("3AHS", history("PUSH_NAME", { pushnames }));
}

/** One ratchet step towards a device; opens a session with its published keys if there is none. */
export async function encryptFor(
  phone: Phone,
  device: Device,
  message: proto.IMessage,
): Promise<Encrypted> {
  const address = addressOf(phone.account, device);
  if (!phone.keys.hasOpenSession(address.toString())) await openSession(phone, device, address);
  const cipher = new SessionCipher(phone.keys, address);
  const { type, body } = await cipher.encrypt(encodeWAMessage(message));
  phone.account.server.touch();
  return { type: type === MESSAGE ? "pkmsg" : "msg", ciphertext: Buffer.from(body, "binary") };
}

async function openSession(phone: Phone, device: Device, address: ProtocolAddress): Promise<void> {
  const { registrationId, identity, signedPreKey, preKey } = device.bundle();
  if (!preKey) throw new Error(`device ${device.pnJid} has no one-time keys`);
  await new SessionBuilder(phone.keys, address).initOutgoing({
    registrationId,
    identityKey: generateSignalPubKey(identity),
    signedPreKey: {
      keyId: signedPreKey.id,
      publicKey: generateSignalPubKey(signedPreKey.value),
      signature: signedPreKey.signature,
    },
    preKey: { keyId: preKey.id, publicKey: generateSignalPubKey(preKey.value) },
  });
}

/** libsignal serialises jobs process-wide by address name: naming both ends keeps the phones apart. */
function addressOf(owner: Account, device: Device): ProtocolAddress {
  return new ProtocolAddress(`${owner.phone}~${device.account.phone}`, device.id);
}

function pushPeerMessage(account: Account, device: Device, prefix: string, enc: Encrypted): void {
  const attrs = {
    id: prefix + randomBytes(7).toString("hex").toUpperCase(),
    from: pnJid(account.phone),
    type: "text",
    category: "peer",
    notify: account.name,
    t: String(unixNow()),
  };
  device.push(el("message", attrs, [el("enc", { v: "2", type: enc.type }, enc.ciphertext)]));
}

function appStateKey(device: Device): proto.Message.IAppStateSyncKey {
  return {
    keyId: { keyId: Buffer.from([0, 0, 0, 0, device.id, 1]) },
    keyData: {
      keyData: randomBytes(32),
      timestamp: unixNow(),
      fingerprint: { rawId: 1, currentIndex: device.keyIndex, deviceIndexes: [0, device.keyIndex] },
    },
  };
}

function history(
  kind: HistoryKind,
  content: Partial<proto.IHistorySync>,
): proto.Message.IProtocolMessage {
  const syncType = HistorySyncType[kind];
  const encoded = proto.HistorySync.encode({ ...content, syncType, progress: 100 }).finish();
  return {
    type: Type.HISTORY_SYNC_NOTIFICATION,
    historySyncNotification: {
      syncType: proto.Message.HistorySyncType[kind],
      chunkOrder: 1,
      progress: 100,
      initialHistBootstrapInlinePayload: deflateSync(encoded),
    },
  };
}

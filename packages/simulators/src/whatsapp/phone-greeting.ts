import { randomBytes } from "node:crypto";
import { deflateSync } from "node:zlib";
import { proto } from "@whiskeysockets/baileys";
import type { Account } from "./account.ts";
import type { Device } from "./device.ts";
import { pnJid } from "./jid.ts";
import { encNode, encryptFor } from "./messages/signal.ts";
import type { Encrypted } from "./messages/signal.ts";
import type { Phone } from "./phone.ts";
import { el, unixNow } from "./stanza.ts";

const { Type } = proto.Message.ProtocolMessage;
const { HistorySyncType } = proto.HistorySync;

type HistoryKind = "INITIAL_BOOTSTRAP" | "PUSH_NAME";

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

function pushPeerMessage(account: Account, device: Device, prefix: string, enc: Encrypted): void {
  const attrs = {
    id: prefix + randomBytes(7).toString("hex").toUpperCase(),
    from: pnJid(account.phone),
    type: "text",
    category: "peer",
    notify: account.name,
    t: String(unixNow()),
  };
  device.push(el("message", attrs, [encNode(enc)]));
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

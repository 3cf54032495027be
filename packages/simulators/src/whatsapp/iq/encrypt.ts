import { sha256 } from "../crypto.ts";
import type { Device, KeyBundle } from "../device.ts";
import { parseJid } from "../jid.ts";
import type { SignedPreKey } from "../pre-keys.ts";
import type { WhatsAppServer } from "../server.ts";
import { el, kid, kids, requireBytes, uint, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { IqHandler } from "./router.ts";

const KEY_TYPE = Buffer.from([5]);

/** Key upload and download. */
export const handleEncrypt: IqHandler = (connection, iq, child) => {
  const { device, server } = connection;
  if (!device) return false;
  const isSet = iq.attrs["type"] === "set";
  if (isSet && child?.tag === "rotate") {
    device.signedPreKey = readSignedPreKey(kid(child, "skey"));
    server.touch();
    connection.reply(iq);
    return true;
  }
  if (isSet) {
    upload(device, iq);
    connection.reply(iq);
    return true;
  }
  switch (child?.tag) {
    case "count":
      connection.reply(iq, [el("count", { value: String(device.preKeys.size) })]);
      return true;
    case "digest":
      connection.reply(iq, [digest(device)]);
      return true;
    case "key":
      connection.reply(iq, [
        el(
          "list",
          {},
          kids(child, "user").map((user) => bundleOf(server, user)),
        ),
      ]);
      return true;
    case undefined:
    default:
      return false;
  }
};

function upload(device: Device, iq: Stanza): void {
  const entries = kids(kid(iq, "list"), "key").map((key) => ({
    id: requireBytes(kid(key, "id"), "pre-key id", 3).readUIntBE(0, 3),
    value: requireBytes(kid(key, "value"), "pre-key", 32),
  }));
  device.signedPreKey = readSignedPreKey(kid(iq, "skey"));
  device.preKeys.add(entries);
  device.account.server.touch();
  device.account.server.events.emit("pre-keys", { device, count: entries.length });
}

function readSignedPreKey(node: Stanza | undefined): SignedPreKey {
  return {
    id: requireBytes(kid(node, "id"), "signed pre-key id", 3).readUIntBE(0, 3),
    value: requireBytes(kid(node, "value"), "signed pre-key", 32),
    signature: requireBytes(kid(node, "signature"), "signed pre-key signature", 64),
  };
}

function digest(device: Device): Stanza {
  return el("digest", {}, [
    el("registration", {}, uint(device.registrationId, 4)),
    el("type", {}, KEY_TYPE),
    el("identity", {}, device.identity),
    signedPreKeyNode(device.signedPreKey),
    el("hash", {}, sha256(device.identity).subarray(0, 20)),
  ]);
}

function bundleOf(server: WhatsAppServer, user: Stanza): Stanza {
  const jid = user.attrs["jid"] ?? "";
  const target = server.find(jid)?.target(parseJid(jid).device);
  if (!target) return el("user", { jid }, [el("error", { code: "404", text: "item-not-found" })]);
  return el("user", { jid, t: String(unixNow()) }, bundleNodes(target.bundle()));
}

function bundleNodes(bundle: KeyBundle): Stanza[] {
  const { preKey } = bundle;
  const oneTime = preKey
    ? [el("key", {}, [el("id", {}, uint(preKey.id, 3)), el("value", {}, preKey.value)])]
    : [];
  return [
    el("registration", {}, uint(bundle.registrationId, 4)),
    el("type", {}, KEY_TYPE),
    el("identity", {}, bundle.identity),
    ...oneTime,
    signedPreKeyNode(bundle.signedPreKey),
  ];
}

function signedPreKeyNode(key: SignedPreKey): Stanza {
  return el("skey", {}, [
    el("id", {}, uint(key.id, 3)),
    el("value", {}, key.value),
    el("signature", {}, key.signature),
  ]);
}

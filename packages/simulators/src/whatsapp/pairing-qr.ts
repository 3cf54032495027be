import { randomBytes } from "node:crypto";
import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import type { Device } from "./device.ts";
import { checkPhone, checkRoom, link } from "./linking.ts";
import { requestPasskey } from "./passkey.ts";
import { PhoneError } from "./phone-error.ts";
import { el, SERVER_JID } from "./stanza.ts";

export type ScannedQr = { ref: string; identity: Buffer; advSecret: Buffer };

/** Hands the client its QR refs. They live as long as the connection. */
export function offerRefs(connection: Connection): void {
  const { server } = connection;
  const count = server.options.qrRefs;
  connection.refs = Array.from({ length: count }, () => `2@${randomBytes(48).toString("base64")}`);
  for (const ref of connection.refs) server.refs.set(ref, connection);
  connection.pairDeviceId = stanzaId();
  const attrs = { from: SERVER_JID, type: "set", id: connection.pairDeviceId, xmlns: "md" };
  const refs = connection.refs.map((ref) => el("ref", {}, Buffer.from(ref)));
  connection.send(el("iq", attrs, [el("pair-device", {}, refs)]));
}

/** The client has its refs, so a QR is on its screen. */
export function pairDeviceAnswered(connection: Connection): void {
  const { options } = connection.server;
  if (options.companionRefresh !== "before-scan") return;
  while (connection.refresh.sent < options.refreshTimes) connection.refresh.send(options);
}

/**
 * The person points the phone's camera at a QR.
 * @returns the linked device, when the link is finished
 * @throws {PhoneError} what the phone shows instead
 */
export async function scanQr(account: Account, text: string): Promise<Device> {
  checkPhone(account);
  const qr = parseQr(text);
  const connection = account.server.refs.get(qr.ref);
  if (!connection?.isOpen) throw new PhoneError("qr_expired");
  checkRoom(account);
  if (account.options.passkey === "on-scan") {
    requestPasskey(connection);
    throw new PhoneError("passkey_required");
  }
  if (!passesRefresh(account, connection, qr)) throw new PhoneError("couldnt_link_try_again");
  if (!connection.registration?.identity.equals(qr.identity)) {
    throw new PhoneError("couldnt_link_try_again");
  }
  account.server.dropRefs(connection);
  return link(account, connection, qr);
}

/**
 * A retired secret never links. With `on-scan` the first scan is what retires it; the scan of the redrawn QR
 * links if the client acknowledged the order properly.
 */
function passesRefresh(account: Account, connection: Connection, qr: ScannedQr): boolean {
  const { options } = account;
  const { refresh } = connection;
  const secret = qr.advSecret.toString("base64");
  if (refresh.isRetired(secret)) return false;
  if (options.companionRefresh === "on-scan" && refresh.sent < options.refreshTimes) {
    return !refresh.send(options, secret);
  }
  return refresh.isAcknowledged;
}

/**
 * `https://wa.me/settings/linked_devices#<ref>,<noise key>,<identity key>,<secret>,<platform>`, or the part
 * after `#` alone, as older clients draw it.
 * @throws {PhoneError} `qr_unreadable`
 */
export function parseQr(text: string): ScannedQr {
  const fields = text.slice(text.indexOf("#") + 1).split(",");
  const [ref = "", ...keys] = fields;
  const [noiseKey, identity, advSecret] = keys.map((key) => Buffer.from(key, "base64"));
  if (
    !ref.startsWith("2@") ||
    !identity ||
    !advSecret ||
    ![noiseKey, identity, advSecret].every(isKey)
  ) {
    throw new PhoneError("qr_unreadable");
  }
  return { ref, identity, advSecret };
}

function isKey(key: Buffer | undefined): boolean {
  return key?.length === 32;
}

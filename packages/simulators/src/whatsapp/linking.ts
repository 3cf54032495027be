import { proto } from "@whiskeysockets/baileys";
import type { Account } from "./account.ts";
import { checkDeviceSignature, signCompanion } from "./adv.ts";
import type { SignedCompanion } from "./adv.ts";
import type { Connection, Step } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import { Device } from "./device.ts";
import { lidJid, pnJid } from "./jid.ts";
import { PhoneError } from "./phone-error.ts";
import { el, kid, requireBytes, SERVER_JID, unixNow } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

/** A `pair-success` that the client has not answered yet. */
export type PendingLink = {
  stanzaId: string;
  account: Account;
  deviceId: number;
  keyIndex: number;
  signed: SignedCompanion;
  step: Step<Device>;
};

/**
 * The phone approves a companion: sends `pair-success` and waits for the signed answer.
 * @returns the device, once its signature was checked and it is registered
 * @throws {PhoneError} `couldnt_link_try_again` when the client refuses, disappears or stays silent
 */
export function link(
  account: Account,
  connection: Connection,
  secrets: { identity: Buffer; advSecret: Buffer },
): Promise<Device> {
  if (connection.linking) throw new PhoneError("couldnt_link_try_again");
  const deviceId = account.nextDeviceId++;
  const keyIndex = account.nextKeyIndex++;
  const signed = signCompanion(account.primary.keys.identity, { ...secrets, keyIndex });
  const id = stanzaId();
  const step = connection.step<Device>();
  connection.linking = { stanzaId: id, account, deviceId, keyIndex, signed, step };
  const attrs = { from: SERVER_JID, type: "set", id, xmlns: "md", t: String(unixNow()) };
  connection.send(el("iq", attrs, [pairSuccess(account, deviceId, signed)]));
  return step.promise;
}

/** Refuses the scan or the code of a phone that has no room for another device. */
export function checkRoom(account: Account): void {
  if (account.devices.size >= account.options.maxDevices) throw new PhoneError("too_many_devices");
}

/** The phone's owner must have WhatsApp and a connection. */
export function checkPhone(account: Account): void {
  if (!account.exists) throw new PhoneError("no_account");
  if (!account.primary.isOnline) throw new PhoneError("offline");
}

/** The client answered the `pair-success`. Registers the device and restarts the stream with 515. */
export function finishLink(connection: Connection, iq: Stanza): void {
  const pending = connection.linking;
  const { registration, server } = connection;
  if (!pending || !registration) return;
  const sign = kid(kid(iq, "pair-device-sign"), "device-identity");
  if (iq.attrs["type"] === "error" || Number(sign?.attrs["key-index"]) !== pending.keyIndex) {
    refuse(connection, pending);
    return;
  }
  try {
    const encoded = requireBytes(sign, "device-identity");
    checkDeviceSignature(pending.signed, registration.identity, encoded);
  } catch (error) {
    server.reportError(error);
    refuse(connection, pending);
    return;
  }
  const device = new Device(pending.account, {
    ...registration,
    id: pending.deviceId,
    keyIndex: pending.keyIndex,
    linkedAt: Date.now(),
    greeted: false,
  });
  server.addDevice(device);
  server.stats.links++;
  connection.streamError({ code: "515" });
  pending.account.lastError = undefined;
  pending.step.resolve(device);
  server.events.emit("linked", device);
  server.events.emit("phone-changed", pending.account);
}

function refuse(connection: Connection, pending: PendingLink): void {
  pending.step.reject(new PhoneError("couldnt_link_try_again"));
  connection.fail({ reason: "400", location: "sim" });
}

function pairSuccess(account: Account, deviceId: number, signed: SignedCompanion): Stanza {
  const props = proto.ClientPairingProps.encode({
    isChatDbLidMigrated: true,
    isSyncdPureLidSession: true,
  }).finish();
  return el("pair-success", {}, [
    el("device-identity", {}, signed.sealed),
    el("device", { jid: pnJid(account.phone, deviceId), lid: lidJid(account.lid, deviceId) }),
    el("platform", { name: "android" }),
    el("client-props", {}, props),
  ]);
}

import { proto } from "@whiskeysockets/baileys";
import type { Connection } from "./connection.ts";
import { Delivery } from "./delivery.ts";
import type { Device, Registration } from "./device.ts";
import { offerRefs } from "./pairing-qr.ts";
import { el, unixNow } from "./stanza.ts";

type DevicePairing = proto.ClientPayload.IDevicePairingRegistrationData;
type Version = [number, number, number];

/** The handshake is over: a client without credentials registers, one with credentials logs in. */
export function startStream(connection: Connection, payload: proto.ClientPayload): void {
  const { server } = connection;
  const pairing = payload.devicePairingData;
  const phone = pairing ? undefined : String(payload.username);
  const where = { phone, deviceId: pairing ? undefined : (payload.device ?? 0) };
  const minVersion =
    (server.faults.take("min-version", where)?.["version"] as Version | undefined) ??
    (phone === undefined ? server.options : server.optionsOf(phone)).minVersion;
  if (minVersion && isOlder(versionOf(payload), minVersion)) {
    connection.fail({ reason: "405", location: "sim" });
    return;
  }
  server.events.emit("payload", connection);
  if (pairing) register(connection, pairing);
  else login(connection, String(payload.username), payload.device ?? 0);
}

function register(connection: Connection, data: DevicePairing): void {
  connection.server.stats.registrations++;
  connection.registration = readRegistration(connection.staticKey, data);
  offerRefs(connection);
}

function login(connection: Connection, phone: string, deviceId: number): void {
  const { server } = connection;
  const failure = server.faults.take("login-failure", { phone, deviceId });
  if (failure) {
    connection.fail({ location: "sim", ...(failure["attrs"] as Record<string, string>) });
    return;
  }
  const device = server.directory.get(phone)?.devices.get(deviceId);
  if (!device?.noiseKey.equals(connection.staticKey)) {
    // unknown number, removed device, half-finished credentials of a pairing code: the same answer
    connection.fail({ reason: "401", location: "sim" });
    return;
  }
  const { id: connectionId, label } = connection;
  connection.login = server.record.open({ phone, deviceId, connectionId, label });
  replace(device);
  device.connection = connection;
  connection.device = device;
  connection.delivery = new Delivery(
    device,
    (stanza) => connection.send(stanza),
    () => goneLive(device),
  );
  server.stats.logins++;
  connection.send(
    el("success", {
      t: String(unixNow()),
      props: "1",
      abprops: "1",
      location: "sim",
      lid: device.lidJid,
      display_name: device.account.name,
      creation: "1700000000",
      companion_enc_static: "sim",
    }),
  );
  server.events.emit("login", device);
}

/** Somebody else holds a connection with these credentials: the newcomer stays. */
function replace(device: Device): void {
  const old = device.connection;
  if (!old) return;
  if (old.isOpen && !old.isBlackhole) device.account.server.stats.replaced++;
  old.replaced();
}

function goneLive(device: Device): void {
  const { account } = device;
  account.server.events.emit("live", device);
  if (device.greeted || !account.options.pushHistory) return;
  device.greeted = true;
  account.server.touch();
  account.primary.greet(device).catch((error: unknown) => account.server.reportError(error));
}

function readRegistration(noiseKey: Buffer, data: DevicePairing): Registration {
  const props = proto.DeviceProps.decode(data.deviceProps ?? new Uint8Array());
  return {
    noiseKey,
    identity: field(data.eIdent, "identity", 32),
    registrationId: field(data.eRegid, "registration id", 4).readUInt32BE(),
    signedPreKey: {
      id: field(data.eSkeyId, "signed pre-key id", 3).readUIntBE(0, 3),
      value: field(data.eSkeyVal, "signed pre-key", 32),
      signature: field(data.eSkeySig, "signed pre-key signature", 64),
    },
    displayName: props.os ?? "",
    platform: proto.DeviceProps.PlatformType[props.platformType ?? 0] ?? "UNKNOWN",
  };
}

function versionOf(payload: proto.ClientPayload): Version {
  const version = payload.userAgent?.appVersion;
  return [version?.primary ?? 0, version?.secondary ?? 0, version?.tertiary ?? 0];
}

function isOlder(version: Version, least: Version): boolean {
  for (const [index, wanted] of least.entries()) {
    const part = version[index] ?? 0;
    if (part !== wanted) return part < wanted;
  }
  return false;
}

function field(value: Uint8Array | null | undefined, name: string, length: number): Buffer {
  if (value?.length !== length) throw new Error(`registration lacks a proper ${name}`);
  return Buffer.from(value);
}

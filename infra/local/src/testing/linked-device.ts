/** What linking by a phone leaves behind, made without the phone: for fleets that are linked from the start. */
import {
  BufferJSON,
  createSignalIdentity,
  Curve,
  initAuthCreds,
  jidDecode,
  type AuthenticationCreds,
} from "@whiskeysockets/baileys";

type KeyPair = ReturnType<typeof Curve.generateKeyPair>;

/** A device before WhatsApp knows it. */
export type NewDevice = { phone: string; creds: AuthenticationCreds; preKeys: readonly KeyPair[] };

/** One linked device as the product stores it: JSON of credentials and keys, as bytes. */
export type LinkedDevice = {
  phone: string;
  deviceId: number;
  creds: Uint8Array;
  keys: { kind: string; id: string; value: Uint8Array }[];
};

/** What the simulator answers to `POST /adopt` for one device; binary as base64. */
export type Adopted = {
  deviceId: number;
  me: { id: string; lid: string; name?: string };
  account: { details: string; accountSignatureKey: string; accountSignature: string };
};

const DEVICE_SIGNATURE_PREFIX = Buffer.from([6, 1]);

/** The library's own credentials; its id counters stand after the pre-keys, as after the first upload. */
export function newDevice(phone: string, preKeys: readonly KeyPair[]): NewDevice {
  const next = preKeys.length + 1;
  const creds = { ...initAuthCreds(), nextPreKeyId: next, firstUnuploadedPreKeyId: next };
  return { phone, creds, preKeys };
}

/** The body of `POST /adopt`: only public halves. */
export function adoptBody({ phone, creds, preKeys }: NewDevice): Record<string, unknown> {
  const { keyPair, keyId, signature } = creds.signedPreKey;
  return {
    phone,
    noiseKey: base64(creds.noiseKey.public),
    identity: base64(creds.signedIdentityKey.public),
    registrationId: creds.registrationId,
    signedPreKey: { id: keyId, value: base64(keyPair.public), signature: base64(signature) },
    preKeys: base64(
      Buffer.concat(
        preKeys.flatMap((pair, index) => {
          const id = Buffer.alloc(3);
          id.writeUIntBE(index + 1, 0, 3);
          return [id, pair.public];
        }),
      ),
    ),
  };
}

/**
 * Completes the credentials with what pair-success brings, the device's own signature included, and the keys
 * with what the first login stores: its own address and device.
 */
export function linkedDevice(device: NewDevice, adopted: Adopted): LinkedDevice {
  const { creds, preKeys, phone } = device;
  const details = Buffer.from(adopted.account.details, "base64");
  const accountSignatureKey = Buffer.from(adopted.account.accountSignatureKey, "base64");
  const message = [
    DEVICE_SIGNATURE_PREFIX,
    details,
    Buffer.from(creds.signedIdentityKey.public),
    accountSignatureKey,
  ];
  const complete: AuthenticationCreds = {
    ...creds,
    me: adopted.me,
    account: {
      details,
      accountSignatureKey,
      accountSignature: Buffer.from(adopted.account.accountSignature, "base64"),
      deviceSignature: Curve.sign(creds.signedIdentityKey.private, Buffer.concat(message)),
    },
    signalIdentities: [createSignalIdentity(adopted.me.lid, accountSignatureKey)],
    platform: "smba",
  };
  const lidUser = jidDecode(adopted.me.lid)?.user ?? "";
  return {
    phone,
    deviceId: adopted.deviceId,
    creds: jsonBytes(complete),
    keys: [
      ...preKeys.map((pair, index) => key("pre-key", String(index + 1), pair)),
      key("lid-mapping", phone, lidUser),
      key("lid-mapping", `${lidUser}_reverse`, phone),
      key("device-list", phone, [String(adopted.deviceId)]),
    ],
  };
}

function key(kind: string, id: string, value: unknown): LinkedDevice["keys"][number] {
  return { kind, id, value: jsonBytes(value) };
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value, BufferJSON.replacer));
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

import { readFile, rename, writeFile } from "node:fs/promises";
import { decodeBinaryNode, encodeBinaryNode } from "@whiskeysockets/baileys";
import type { Account } from "./account.ts";
import type { KeyPair } from "./crypto.ts";
import { Device } from "./device.ts";
import { isMsisdn } from "./jid.ts";
import { Group } from "./messages/group.ts";
import type { Role } from "./messages/group.ts";
import type { Addressing } from "./messages/letter.ts";
import { checkPhoneOptions } from "./options.ts";
import type { PhoneOptions } from "./options.ts";
import { PhoneKeys } from "./phone-keys.ts";
import type { SavedPhoneKeys } from "./phone-keys.ts";
import { PreKeyPool } from "./pre-keys.ts";
import type { WhatsAppServer } from "./server.ts";

const FORMAT = 1;
const WRITE_EVERY_MS = 3_000;

/** Binary values are base64. The file holds private keys of the simulated phones. */
type SavedState = {
  format: number;
  rootKey: { public: string; private: string };
  accounts: SavedAccount[];
  groups?: SavedGroup[];
};

type SavedGroup = {
  jid: string;
  subject: string;
  creator: string;
  addressing: Addressing;
  createdAt: number;
  members: [phone: string, role: Role][];
};

type SavedAccount = {
  phone: string;
  name: string;
  exists: boolean;
  online: boolean;
  options: Partial<PhoneOptions>;
  nextDeviceId: number;
  nextKeyIndex: number;
  keys?: SavedPhoneKeys;
  devices: SavedDevice[];
};

type SavedDevice = {
  id: number;
  keyIndex: number;
  displayName: string;
  platform: string;
  linkedAt: number;
  greeted: boolean;
  registrationId: number;
  noiseKey: string;
  identity: string;
  signedPreKey: { id: number; value: string; signature: string };
  preKeys: string;
  /** stanzas not acknowledged yet, in wire form */
  pending: string[];
};

export type LoadedState = { rootKey: KeyPair; restore(server: WhatsAppServer): Promise<void> };

/**
 * Reads a state file. A missing file is an empty state.
 * @throws when the file is there but is not a state of this format: better to stop than to lose the links
 */
export async function loadState(path: string): Promise<LoadedState | undefined> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const saved = JSON.parse(text) as SavedState;
  if (saved.format !== FORMAT)
    throw new Error(`${path} is not a simulator state of format ${FORMAT}`);
  return {
    rootKey: { public: bytes(saved.rootKey.public), private: bytes(saved.rootKey.private) },
    restore: async (server) => {
      for (const account of saved.accounts) await restoreAccount(server, account);
      for (const group of saved.groups ?? []) restoreGroup(server, group);
    },
  };
}

/** Writes the state every few seconds when it has changed, and once more at the end. */
export class StateFile {
  readonly #server: WhatsAppServer;
  readonly #path: string;
  readonly #timer: NodeJS.Timeout;
  #written = -1;
  #writing: Promise<void> = Promise.resolve();

  constructor(server: WhatsAppServer, path: string) {
    this.#server = server;
    this.#path = path;
    this.#timer = setInterval(() => {
      this.write().catch((error: unknown) => server.reportError(error));
    }, WRITE_EVERY_MS);
  }

  /** The file is replaced as a whole: a crash leaves the old one or the new one. */
  write(): Promise<void> {
    const previous = this.#writing;
    this.#writing = this.#writeAfter(previous);
    return this.#writing;
  }

  async #writeAfter(previous: Promise<void>): Promise<void> {
    await previous.catch(() => undefined); // was reported to whoever asked for it
    const { revision } = this.#server;
    if (revision === this.#written) return;
    const draft = `${this.#path}.new`;
    await writeFile(draft, JSON.stringify(saveState(this.#server)), { mode: 0o600 });
    await rename(draft, this.#path);
    this.#written = revision;
  }

  close(): Promise<void> {
    clearInterval(this.#timer);
    return this.write();
  }
}

function saveState(server: WhatsAppServer): SavedState {
  const { rootKey } = server.identity;
  return {
    format: FORMAT,
    rootKey: { public: base64(rootKey.public), private: base64(rootKey.private) },
    accounts: [...server.directory.all()].map(saveAccount),
    groups: [...server.groups.values()].map(saveGroup),
  };
}

function saveAccount(account: Account): SavedAccount {
  const { primary } = account;
  return {
    phone: account.phone,
    name: account.name,
    exists: account.exists,
    online: primary.isOnline,
    options: account.overrides,
    nextDeviceId: account.nextDeviceId,
    nextKeyIndex: account.nextKeyIndex,
    ...(primary.hasKeys ? { keys: primary.keys.save() } : {}),
    devices: [...account.devices.values()].map(saveDevice),
  };
}

function saveDevice(device: Device): SavedDevice {
  const { signedPreKey } = device;
  return {
    id: device.id,
    keyIndex: device.keyIndex,
    displayName: device.displayName,
    platform: device.platform,
    linkedAt: device.linkedAt,
    greeted: device.greeted,
    registrationId: device.registrationId,
    noiseKey: base64(device.noiseKey),
    identity: base64(device.identity),
    signedPreKey: {
      id: signedPreKey.id,
      value: base64(signedPreKey.value),
      signature: base64(signedPreKey.signature),
    },
    preKeys: base64(device.preKeys.packed),
    pending: [...device.pending.values()].map((stanza) => base64(encodeBinaryNode(stanza))),
  };
}

function saveGroup({ jid, subject, creator, addressing, createdAt, members }: Group): SavedGroup {
  return {
    jid,
    subject,
    creator: creator.phone,
    addressing,
    createdAt,
    members: [...members].map(([{ phone }, role]) => [phone, role]),
  };
}

function restoreGroup(server: WhatsAppServer, saved: SavedGroup): void {
  const group = new Group({ ...saved, creator: server.account(saved.creator) });
  for (const [phone, role] of saved.members) group.members.set(server.account(phone), role);
  server.groups.set(group.jid, group);
}

async function restoreAccount(server: WhatsAppServer, saved: SavedAccount): Promise<void> {
  if (!isMsisdn(saved.phone)) throw new Error("the state holds a phone that is no number");
  const account = server.account(saved.phone, saved.name);
  account.exists = saved.exists;
  account.primary.isOnline = saved.online;
  account.overrides = checkPhoneOptions(saved.options);
  account.nextDeviceId = saved.nextDeviceId;
  account.nextKeyIndex = saved.nextKeyIndex;
  if (saved.keys) account.primary.restoreKeys(new PhoneKeys(saved.keys));
  for (const each of saved.devices) server.addDevice(await restoreDevice(account, each));
}

async function restoreDevice(account: Account, saved: SavedDevice): Promise<Device> {
  const { signedPreKey } = saved;
  const device = new Device(account, {
    ...saved,
    noiseKey: bytes(saved.noiseKey),
    identity: bytes(saved.identity),
    signedPreKey: {
      id: signedPreKey.id,
      value: bytes(signedPreKey.value),
      signature: bytes(signedPreKey.signature),
    },
  });
  device.preKeys = new PreKeyPool(bytes(saved.preKeys));
  for (const wire of saved.pending) device.push(await decodeBinaryNode(bytes(wire)));
  return device;
}

function base64(value: Uint8Array): string {
  return Buffer.from(value).toString("base64");
}

function bytes(value: string): Buffer {
  return Buffer.from(value, "base64");
}

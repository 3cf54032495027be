import type { Account } from "../account.ts";
import type { Device } from "../device.ts";
import type { PhoneOptions } from "../options.ts";
import { isAlive } from "../pairing-code.ts";
import type { PhoneErrorCode } from "../phone-error.ts";
import type { WhatsAppServer } from "../server.ts";
import type { Stanza } from "../stanza.ts";

export type DeviceView = {
  id: number;
  /** what the client calls itself */
  name: string;
  platform: string;
  /** ISO 8601 */
  linkedAt: string;
  connected: boolean;
};

export type PhoneView = {
  msisdn: string;
  lid: string;
  name: string;
  exists: boolean;
  online: boolean;
  devices: DeviceView[];
  lastError?: PhoneErrorCode;
  pendingCode: boolean;
  /** the options in force: the server's with this phone's over them */
  options: PhoneOptions;
};

export function deviceView(device: Device): DeviceView {
  return {
    id: device.id,
    name: device.displayName,
    platform: device.platform,
    linkedAt: new Date(device.linkedAt).toISOString(),
    connected: device.connection !== undefined,
  };
}

export function phoneView(account: Account): PhoneView {
  const { server, lastError } = account;
  const {
    qrRefs: _,
    autoAccounts: __,
    speed: ___,
    ...options
  } = { ...server.options, ...account.overrides };
  return {
    msisdn: account.phone,
    lid: account.lid,
    name: account.name,
    exists: account.exists,
    online: account.primary.isOnline,
    devices: [...account.devices.values()].map(deviceView),
    ...(lastError === undefined ? {} : { lastError }),
    pendingCode: isAlive(server.codes.get(account.phone)),
    options,
  };
}

/** `connections` is all that ever came, `connected` those of now; the other counts only grow. */
export function statsView(server: WhatsAppServer) {
  const { unhandled, errors, ...counts } = server.stats;
  let devices = 0;
  let pending = 0;
  for (const account of server.directory.all()) {
    devices += account.devices.size;
    for (const device of account.devices.values()) pending += device.pending.size;
  }
  return {
    ...counts,
    unhandledCount: unhandled,
    errorCount: errors,
    connected: server.connections.size,
    accounts: server.directory.size,
    devices,
    pending,
    unhandled: server.unhandled.map(stanzaView),
    errors: server.errors.slice(-10).map((error) => error.message),
    memory: process.memoryUsage(),
    cpu: process.cpuUsage(),
  };
}

/** Names only: content may be keys. */
function stanzaView(stanza: Stanza): {
  tag: string;
  attrs: Record<string, string>;
  children: string[];
} {
  const { tag, attrs, content } = stanza;
  return { tag, attrs, children: Array.isArray(content) ? content.map((child) => child.tag) : [] };
}

/** What every process of bare Baileys sockets shares: how one is made, and where its keys are. */
import { muteLibsignal, verifyXEdDSA } from "@manyline/simulators";
import {
  BufferJSON,
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  makeWASocket,
  WA_CERT_DETAILS,
  type AuthenticationCreds,
  type SignalDataSet,
  type SignalKeyStore,
  type WASocket,
} from "@whiskeysockets/baileys";

export type StoredDevice = {
  /** JSON, as `BufferJSON` writes it. */
  creds: string;
  /** `kind/id` → JSON. */
  keys: Record<string, string>;
};
/** `stock`: as shipped. `repaired`: the signature check repaired natively, and the lean options. */
export type BareVariant = "stock" | "repaired";
export type BareTask = {
  variant: BareVariant;
  url: string;
  rootKey: string;
  inFlight: number;
  devices: StoredDevice[];
};

const OPEN_DEADLINE_MS = 60_000;

const LEAN = {
  fireInitQueries: false,
  markOnlineOnConnect: false,
  enableRecentMessageCache: false,
  emitOwnEvents: false,
  shouldSyncHistoryMessage: () => false,
};

/** Once per process, before its first socket. */
export function prepareBare({ variant, rootKey }: Pick<BareTask, "variant" | "rootKey">): void {
  muteLibsignal();
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(rootKey, "hex");
  DEFAULT_CONNECTION_CONFIG.logger.level = "silent";
  if (variant === "repaired") Curve.verify = verifyXEdDSA;
}

/** Opens all devices, `inFlight` at a time; in their order. */
export async function openBare(task: BareTask): Promise<WASocket[]> {
  const waiting = task.devices.entries();
  const sockets: WASocket[] = [];
  const lane = async (): Promise<void> => {
    for (const [index, device] of waiting) sockets[index] = await open(task, device);
  };
  await Promise.all(Array.from({ length: task.inFlight }, lane));
  return sockets;
}

async function open({ url, variant }: BareTask, device: StoredDevice): Promise<WASocket> {
  const creds = JSON.parse(device.creds, BufferJSON.reviver) as AuthenticationCreds;
  const sock = makeWASocket({
    auth: { creds, keys: keyStore(device.keys) },
    waWebSocketUrl: url,
    browser: ["Mac OS", "Chrome", "14.4.1"],
    ...(variant === "repaired" ? LEAN : {}),
  });
  sock.ev.on("creds.update", () => {
    device.creds = JSON.stringify(creds, BufferJSON.replacer);
  });
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("a socket did not open")), OPEN_DEADLINE_MS);
    sock.ev.on("connection.update", ({ connection, lastDisconnect }) => {
      if (connection === "open") {
        clearTimeout(timer);
        resolve();
      } else if (connection === "close") {
        reject(lastDisconnect?.error ?? new Error("a socket closed"));
      }
    });
  });
  return sock;
}

function keyStore(keys: Record<string, string>): SignalKeyStore {
  const get = (kind: string, ids: string[]): Record<string, unknown> =>
    Object.fromEntries(
      ids.flatMap((id) => {
        const value = keys[`${kind}/${id}`];
        return value === undefined ? [] : [[id, JSON.parse(value, BufferJSON.reviver)]];
      }),
    );
  return {
    get: get as SignalKeyStore["get"],
    set: (data: SignalDataSet) => {
      for (const [kind, values] of Object.entries(data)) {
        for (const [id, value] of Object.entries(values ?? {})) {
          if (value === null) delete keys[`${kind}/${id}`];
          else keys[`${kind}/${id}`] = JSON.stringify(value, BufferJSON.replacer);
        }
      }
    },
  };
}

/**
 * Bare Baileys sockets in a process of their own: opens every device it is given, 25 at a time, and tells what
 * that took. Reads a `BareTask` as JSON from its input, prints a `BareResult`. Credentials and keys are kept in
 * memory as JSON text, parsed at each read and written at each save, as any store would; there is no disk.
 */
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
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
export type BareResult = { wallMs: number; cpuMs: number; rssBytes: number };

/** What an opening leaves to do counts as well. */
export const SETTLE_MS = 1_000;
const OPEN_DEADLINE_MS = 60_000;

const LEAN = {
  fireInitQueries: false,
  markOnlineOnConnect: false,
  enableRecentMessageCache: false,
  emitOwnEvents: false,
  shouldSyncHistoryMessage: () => false,
};

if (import.meta.main) {
  const task = JSON.parse(await text(process.stdin)) as BareTask;
  const result = await openAll(task);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

async function openAll(task: BareTask): Promise<BareResult> {
  muteLibsignal();
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(task.rootKey, "hex");
  DEFAULT_CONNECTION_CONFIG.logger.level = "silent";
  if (task.variant === "repaired") Curve.verify = verifyXEdDSA;
  const waiting = task.devices.values();
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const lane = async (): Promise<void> => {
    for (const device of waiting) await open(task, device);
  };
  await Promise.all(Array.from({ length: task.inFlight }, lane));
  const wallMs = performance.now() - startedAt;
  await delay(SETTLE_MS);
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1_000, rssBytes: process.memoryUsage.rss() };
}

async function open({ url, variant }: BareTask, device: StoredDevice): Promise<void> {
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

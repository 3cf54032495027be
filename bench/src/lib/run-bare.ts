/** Runs the bare sockets beside the product: the same devices, the same simulator, a fresh process each time. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { openDatabase, readAuth, readKeys, type Keyring } from "@manyline/db";
import type { SeededNumber } from "@manyline/local/testing";
import type { Client } from "pg";
import type { BareResult } from "./bare-fleet.ts";
import type { BareTask, StoredDevice } from "./bare-sockets.ts";

/** The stored devices in clear, in memory only. `preKeys`: how many each was seeded with. */
export async function readDevices(options: {
  workerUrl: string;
  keyring: Keyring;
  client: Client;
  numbers: readonly SeededNumber[];
  preKeys: number;
}): Promise<StoredDevice[]> {
  const { keyring, client, numbers } = options;
  await using db = openDatabase({ url: options.workerUrl, applicationName: "bench" });
  const epochs = await client.query<{ number: number; epoch: string }>(
    "select number_no as number, epoch from number_fence",
  );
  const epochOf = new Map(epochs.rows.map(({ number, epoch }) => [number, Number(epoch)]));
  const ids = Array.from({ length: options.preKeys }, (_, index) => String(index + 1));
  const devices: StoredDevice[] = [];
  for (const { companyNo, numberNo } of numbers) {
    const fence = { companyNo, numberNo, epoch: epochOf.get(numberNo) ?? 0 };
    const { creds } = await readAuth(db, keyring, fence);
    const keys = await readKeys(db, keyring, fence, "pre-key", ids);
    if (creds === undefined || keys.size !== ids.length) throw new Error("a device is incomplete");
    devices.push({
      creds: creds.toString(),
      keys: Object.fromEntries([...keys].map(([id, value]) => [`pre-key/${id}`, String(value)])),
    });
  }
  return devices;
}

export async function runBare(task: BareTask): Promise<BareResult> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "bare-fleet.ts")], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const output = text(child.stdout);
  child.stdin.end(JSON.stringify(task));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`the bare sockets ended with ${String(code)}`);
  return JSON.parse(await output) as BareResult;
}

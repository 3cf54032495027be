/** Whether the stored credentials of a number are whole: what the server may hand out must be openable here. */
import { openDatabase, readAuth, readKeys, type Database } from "@manyline/db";
import { BufferJSON } from "@whiskeysockets/baileys";
import type { Fleet } from "../../src/testing/fleet.ts";
import type { WriteAudit } from "./write-audit.ts";

const ENTRY_BYTES = 35;

/** One line per thing that is wrong with a number's auth state; none if it is whole. */
export async function bentAuthStates(fleet: Fleet, audit: WriteAudit): Promise<string[]> {
  await using db = openDatabase({ url: fleet.database.urls.worker, applicationName: "test" });
  const epochs = await audit.query<{ numberNo: number; epoch: number }>(
    `select number_no as "numberNo", epoch::int from number_fence`,
  );
  const epochOf = new Map(epochs.map(({ numberNo, epoch }) => [numberNo, epoch]));
  const problems: string[] = [];
  for (const number of fleet.numbers) {
    const fence = { ...number, epoch: epochOf.get(number.numberNo) ?? 0 };
    const found = await inspect(fleet, db, fence);
    problems.push(...found.map((problem) => `…${number.phone.slice(-4)}: ${problem}`));
  }
  return problems;
}

async function inspect(
  fleet: Fleet,
  db: Database,
  number: Fleet["numbers"][number] & { epoch: number },
): Promise<string[]> {
  const { keyring } = fleet.database;
  const { creds } = await readAuth(db, keyring, number);
  if (!creds) return ["the credentials are gone"];
  const counters = countersOf(JSON.parse(creds.toString(), BufferJSON.reviver));
  if (!counters) return ["the credentials have no counters of pre-keys"];
  const { next, firstUnuploaded } = counters;
  const problems: string[] = [];
  if (firstUnuploaded > next) problems.push(`first not uploaded ${firstUnuploaded}, next ${next}`);

  // Ids that were never uploaded may be missing: a write that failed may leave a gap, which harms nobody.
  const ids = Array.from({ length: next - 1 }, (_, index) => String(index + 1));
  const stored = await readKeys(db, keyring, number, "pre-key", ids);
  const device = fleet.simulator.server.directory.get(number.phone)?.devices.get(number.deviceId);
  if (!device) return [...problems, "the phone has removed the device"];
  const uploaded = device.preKeys.packed;
  const seen = new Set<number>();
  for (let at = 0; at < uploaded.length; at += ENTRY_BYTES) {
    const id = uploaded.readUIntBE(at, 3);
    if (seen.has(id)) problems.push(`pre-key ${id} was uploaded twice`);
    seen.add(id);
    if (id >= next) problems.push(`pre-key ${id} was uploaded, but the next to make is ${next}`);
    const mine = publicKeyOf(stored.get(String(id)));
    if (!mine?.equals(uploaded.subarray(at + 3, at + ENTRY_BYTES))) {
      problems.push(`pre-key ${id} at the server is ${mine ? "another one" : "not stored"}`);
    }
  }
  return problems;
}

function countersOf(creds: unknown): { next: number; firstUnuploaded: number } | undefined {
  if (typeof creds !== "object" || creds === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(creds));
  const next = Number(fields.get("nextPreKeyId"));
  const firstUnuploaded = Number(fields.get("firstUnuploadedPreKeyId"));
  return Number.isInteger(next) && Number.isInteger(firstUnuploaded)
    ? { next, firstUnuploaded }
    : undefined;
}

function publicKeyOf(bytes: Buffer | undefined): Buffer | undefined {
  if (!bytes) return undefined;
  const pair: unknown = JSON.parse(bytes.toString(), BufferJSON.reviver);
  const key = new Map<string, unknown>(Object.entries(pair ?? {})).get("public");
  return key instanceof Uint8Array ? Buffer.from(key) : undefined;
}

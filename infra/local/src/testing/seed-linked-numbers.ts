/** Numbers that are linked already, many of them at once: for chaos tests and benches. */
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { newNumberId } from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  fencedTransaction,
  inTransaction,
  openDatabase,
  setNumberStatus,
  writeAuth,
  type Database,
  type Keyring,
} from "@manyline/db";
import type { LinkedDevice } from "./linked-device.ts";
import type { ThreadAnswer, ThreadTask } from "./linked-device-thread.ts";

export type SeedOptions = {
  /** Postgres, as role platform and as role worker. */
  platformUrl: string;
  workerUrl: string;
  /** The key-encryption keys the workers will have. */
  keyring: Keyring;
  /** The simulated WhatsApp's control API. */
  simulatorUrl: string;
  companies: number;
  /** Default 1. */
  numbersPerCompany?: number;
  /** One-time keys per device, uploaded and stored; default 30 (a real device has 812). */
  preKeys?: number;
  /** companyId is this and a serial number; default "fleet-". Two seedings of one database need two. */
  prefix?: string;
  /** Phones count up from here; default 7961 000 0000. Two seedings of one simulator need two. */
  firstPhone?: number;
};

export type SeededNumber = {
  companyNo: number;
  companyId: string;
  numberNo: number;
  numberId: string;
  shardId: number;
  /** E.164 digits; the simulator's record names them by it. */
  phone: string;
  /** The linked device's number at its phone. */
  deviceId: number;
};

type StoredNumber = Omit<SeededNumber, "deviceId">;

/** Companies made in one transaction: each commit waits for the disk. */
const COMPANIES_AT_ONCE = 100;
const WRITERS = 8;

/**
 * Makes companies with linked numbers, as they are after their owner stopped: credentials and packed pre-keys
 * stored under their fence (epoch 0, so before any worker runs), known to the simulator, status connected.
 * Keys and credentials are each number's own, but for the one-time pre-keys: numbers share one set per thread.
 * In the order of their creation.
 */
export async function seedLinkedNumbers(options: SeedOptions): Promise<SeededNumber[]> {
  const { companies, numbersPerCompany = 1, firstPhone = 79_610_000_000 } = options;
  const phones = Array.from({ length: companies * numbersPerCompany }, (_, index) =>
    String(firstPhone + index),
  );
  await using platform = openDatabase({
    url: options.platformUrl,
    applicationName: "seeding",
    poolSize: 1,
  });
  await using worker = openDatabase({
    url: options.workerUrl,
    applicationName: "seeding",
    poolSize: WRITERS,
  });
  const made = makeDevices(phones, options);
  const numbers = new Map<string, StoredNumber>();
  const companiesMade = makeCompanies(platform, options, phones, numbers);
  // Whichever fails first is told; the other must not be an unhandled rejection.
  companiesMade.catch(() => undefined);
  const seeded = new Map<string, SeededNumber>();
  await inParallel(WRITERS, made, async (device) => {
    const number = await companiesMade.then(() => numbers.get(device.phone));
    if (number === undefined) throw new Error("a device without a number");
    await storeDevice(worker, options.keyring, number, device);
    seeded.set(device.phone, { ...number, deviceId: device.deviceId });
  });
  return phones.flatMap((phone) => seeded.get(phone) ?? []);
}

async function makeCompanies(
  db: Database,
  options: SeedOptions,
  phones: readonly string[],
  numbers: Map<string, StoredNumber>,
): Promise<void> {
  const { companies, numbersPerCompany = 1, prefix = "fleet-" } = options;
  for (let start = 0; start < companies; start += COMPANIES_AT_ONCE) {
    await inTransaction(db, async (tx) => {
      const end = Math.min(companies, start + COMPANIES_AT_ONCE);
      for (let index = start; index < end; index += 1) {
        const companyId = `${prefix}${index + 1}`;
        const { companyNo } = await createCompany(tx, options.keyring, {
          companyId,
          name: `Company ${index + 1}`,
          country: "RU",
          phone: null,
          adminEmail: null,
          notificationEmail: null,
          timezone: "UTC",
          language: "en",
          whatsappEnabled: true,
          whatsappConfig: {},
        });
        const from = index * numbersPerCompany;
        for (const phone of phones.slice(from, from + numbersPerCompany)) {
          const { numberNo, numberId, shardId } = await createNumber(tx, companyNo, {
            numberId: newNumberId(),
            provider: "linked",
            phone,
            name: null,
            maxNumbers: numbersPerCompany,
          });
          numbers.set(phone, { companyNo, companyId, numberNo, numberId, shardId, phone });
        }
      }
    });
  }
}

async function storeDevice(
  db: Database,
  keyring: Keyring,
  number: StoredNumber,
  device: LinkedDevice,
): Promise<void> {
  const fence = { companyNo: number.companyNo, numberNo: number.numberNo, epoch: 0 };
  const now = new Date();
  await fencedTransaction(db, fence, async (tx) => {
    await writeAuth(tx, keyring, fence, {
      creds: Buffer.from(device.creds),
      keys: device.keys.map(({ kind, id, value }) => ({
        kind,
        key: id,
        value: Buffer.from(value),
      })),
    });
    await setNumberStatus(tx, fence, {
      status: "connected",
      reason: "open",
      since: now,
      lastConnectedAt: now,
    });
  });
}

/** Devices as they are made, by some threads. */
async function* makeDevices(
  phones: string[],
  { simulatorUrl, preKeys = 30 }: SeedOptions,
): AsyncGenerator<LinkedDevice> {
  // A thread takes a second to load the library: few devices do not pay for a second one.
  const count = phones.length < 200 ? 1 : Math.min(2, availableParallelism());
  const share = Math.ceil(phones.length / count);
  const ready: LinkedDevice[][] = [];
  let wake = Promise.withResolvers<void>();
  const threads = Array.from({ length: count }, (_, index) => {
    const task: ThreadTask = {
      simulatorUrl,
      preKeys,
      phones: phones.slice(index * share, (index + 1) * share),
    };
    const thread = new Worker(new URL("linked-device-thread.ts", import.meta.url), {
      workerData: task,
    });
    thread.on("message", (answer: ThreadAnswer) => {
      ready.push(answer);
      wake.resolve();
    });
    return { thread, ended: once(thread, "exit") };
  });
  let running = count;
  let failure: unknown;
  for (const { ended } of threads) {
    void ended
      .catch((error: unknown) => (failure = error))
      .finally(() => {
        running -= 1;
        wake.resolve();
      });
  }
  try {
    for (;;) {
      const part = ready.shift();
      if (part !== undefined) yield* part;
      else if (failure !== undefined) throw failure;
      else if (running === 0) return;
      else {
        await wake.promise;
        wake = Promise.withResolvers();
      }
    }
  } finally {
    await Promise.all(threads.map(({ thread }) => thread.terminate()));
  }
}

/** Runs `work` on each item, at most `width` at a time. The first failure ends it. */
async function inParallel<T>(
  width: number,
  items: AsyncGenerator<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const lane = async (): Promise<void> => {
    for (;;) {
      const next = await items.next();
      if (next.done === true) return;
      await work(next.value);
    }
  };
  try {
    await Promise.all(Array.from({ length: width }, lane));
  } finally {
    await items.return(undefined);
  }
}

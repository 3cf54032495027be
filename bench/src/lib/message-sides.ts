/** Who is compared: the product, and bare Baileys. Each has linked numbers of its own, one contact per number. */
import { messageReceived, type Envelope } from "@manyline/contracts";
import { openTestDatabase } from "@manyline/db/testing";
import { seedLinkedNumbers, type SeededNumber } from "@manyline/local/testing";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { BarePeer } from "./bare-peer.ts";
import type { BareVariant } from "./bare-sockets.ts";
import type { GatewayProcess, Ground } from "./ground.ts";
import { cpuMs, treeCpuMs } from "./processes.ts";
import { databaseNow, untilOpen } from "./progress.ts";
import { readDevices } from "./run-bare.ts";
import { Client } from "pg";

/** One message of a linked number to its contact. */
export type Outgoing = { place: number; text: string };
/** When it was asked for; when it was accepted: REST's 202, or the library being done. Clock of the machine. */
export type Accepted = { text: string; askedAt: number; acceptedAt: number };

export type Side = AsyncDisposable & {
  name: string;
  /** Linked numbers, and beside each the person who writes to it and is written to. */
  phones: readonly string[];
  contacts: readonly string[];
  /** By WhatsApp's id: when the application heard of it. */
  heard: () => Promise<ReadonlyMap<string, number>>;
  /** Resolves when all are accepted. */
  send: (sends: readonly Outgoing[]) => Promise<Accepted[]>;
  /** Processor time so far: of the process that holds the sockets, and of each other by name. */
  cpu: () => { client: number; others: Record<string, number> };
  pid: number;
};

const PRE_KEYS = 30;
const IN_FLIGHT = 25;
/** Requests to the gateway under way at once. */
const REQUESTS = 32;
const OPEN_DEADLINE_MS = 600_000;

/** Without a pace of its own: what is measured is what the worker can do. */
const UNPACED = {
  SENDS_PER_SECOND: "1000",
  SEND_BURST: "1000",
  FIRST_CONTACTS_PER_DAY: "1000000",
};

const now = (): number => performance.timeOrigin + performance.now();
const contactsOf = (phones: readonly string[]): string[] =>
  phones.map((phone) => `7${String(Number(phone.slice(1)) + 100_000_000)}`);

/** One session-worker and one gateway, with the ground's numbers. */
export async function openProduct(
  ground: Ground,
  options: { nodeArgs?: string[] } = {},
): Promise<Side> {
  await using stack = new AsyncDisposableStack();
  const { client, numbers } = ground;
  const heard = new Map<string, number>();
  const logger = createSilentLogger();
  const bus = stack.adopt(createBus({ servers: [ground.nats.url], name: "bench", logger }), (one) =>
    one.close(),
  );
  bus.subscribe(`${messageReceived.type}.>`, ({ data }) => {
    const at = now();
    const event = JSON.parse(Buffer.from(data).toString()) as Envelope<Record<string, unknown>>;
    const id = String(event.data["providerMessageId"]);
    if (!heard.has(id)) heard.set(id, at);
  });
  const since = await databaseNow(client);
  const { process: worker } = await ground.startWorker({
    name: "worker",
    env: { ...UNPACED, WORKER_CAPACITY: String(Math.max(2_500, numbers.length)) },
    ...options,
  });
  stack.use(worker);
  const gateway = await ground.startGateway();
  stack.use(gateway.process);
  await untilOpen(client, { since, count: numbers.length, deadlineMs: OPEN_DEADLINE_MS });
  const phones = numbers.map(({ phone }) => phone);
  const contacts = contactsOf(phones);
  const kept = stack.move();
  return {
    name: "session-worker",
    phones,
    contacts,
    heard: async () => heard,
    send: (sends) => post(gateway, numbers, contacts, sends),
    cpu: () => ({
      client: cpuMs(worker.pid),
      others: {
        gateway: cpuMs(gateway.process.pid),
        postgres: treeCpuMs(ground.postgres.pid ?? 0),
        nats: treeCpuMs(ground.nats.pid ?? 0),
      },
    }),
    pid: worker.pid,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function post(
  { url, token }: GatewayProcess,
  numbers: readonly SeededNumber[],
  contacts: readonly string[],
  sends: readonly Outgoing[],
): Promise<Accepted[]> {
  const accepted: Accepted[] = [];
  // A chat's messages must not overtake each other on the way to the gateway.
  const lanes = [...Map.groupBy(sends, ({ place }) => place).values()].values();
  const lane = async (): Promise<void> => {
    for (const own of lanes) {
      for (const { place, text } of own) {
        const askedAt = now();
        const response = await fetch(
          `${url}/api/whatsapp/sessions/${numbers[place]?.companyId ?? ""}/messages`,
          {
            method: "POST",
            headers: {
              authorization: `Bearer ${token}`,
              "content-type": "application/json",
              "idempotency-key": text.replaceAll(" ", "-"),
            },
            body: JSON.stringify({ type: "text", to: contacts[place], text }),
          },
        );
        const acceptedAt = now();
        const answer = await response.text();
        if (response.status !== 202) throw new Error(`${response.status} ${answer}`);
        accepted.push({ text, askedAt, acceptedAt });
      }
    }
  };
  await Promise.all(Array.from({ length: REQUESTS }, lane));
  return accepted;
}

/** As many numbers as the product has, in a process of their own. */
export async function openBareSide(
  ground: Ground,
  options: { variant: BareVariant; name: string; firstPhone: number; nodeArgs?: string[] },
): Promise<Side> {
  await using stack = new AsyncDisposableStack();
  const { simulator } = ground;
  const devices = await seedDevices(ground, options.firstPhone, ground.numbers.length);
  const peer = stack.use(new BarePeer(options.nodeArgs));
  await peer.ask({
    ask: "open",
    task: {
      variant: options.variant,
      url: simulator.url,
      rootKey: simulator.rootKey,
      inFlight: IN_FLIGHT,
      devices: devices.stored,
    },
  });
  const contacts = contactsOf(devices.phones);
  const heard = new Map<string, number>();
  const kept = stack.move();
  return {
    name: options.name,
    phones: devices.phones,
    contacts,
    heard: async () => {
      for (const { id, at } of await peer.ask({ ask: "received" })) heard.set(id, at);
      return heard;
    },
    send: async (sends) => {
      const sent = await peer.ask({
        ask: "send",
        sends: sends.map(({ place, text }) => ({ place, text, to: contacts[place] ?? "" })),
      });
      return sent.map(({ text, askedAt, doneAt }) => ({ text, askedAt, acceptedAt: doneAt }));
    },
    cpu: () => ({ client: cpuMs(peer.pid), others: {} }),
    pid: peer.pid,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** Linked like the product's own, by way of a database that is then dropped. */
export async function seedDevices(ground: Ground, firstPhone: number, count: number) {
  await using database = await openTestDatabase({ server: ground.postgres });
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  try {
    const numbers = await seedLinkedNumbers({
      platformUrl: database.urls.platform,
      workerUrl: database.urls.worker,
      keyring: database.keyring,
      simulatorUrl: ground.simulator.httpUrl,
      companies: count,
      firstPhone,
    });
    const stored = await readDevices({
      workerUrl: database.urls.worker,
      keyring: database.keyring,
      client,
      numbers,
      preKeys: PRE_KEYS,
    });
    return { phones: numbers.map(({ phone }) => phone), stored };
  } finally {
    await client.end();
  }
}

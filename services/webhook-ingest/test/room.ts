/** A real webhook-ingest over real servers, a subscriber, and somebody who signs as Meta does. */
import { createHmac, randomInt } from "node:crypto";
import { EVENTS_STREAM, newNumberId, parseEvent, type Envelope } from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  type Database,
  inTransaction,
  openDatabase,
  putMetaApp,
  setMetaNumber,
  withCompany,
} from "@manyline/db";
import {
  asSuperuser,
  openTestDatabase,
  TEST_KEKS,
  type OpenTestDatabase,
} from "@manyline/db/testing";
import { createBus, createSilentLogger, runService, type Bus } from "@manyline/runtime";
import { startNats, until, type NatsServer, type PostgresServer } from "@manyline/testkit";
import { buildDeps, envToConfig, startIngest, type Deps } from "../src/index.ts";

export const SECRET = "shared-app-secret-0001";
export const FORMER_SECRET = "shared-app-secret-0000";
export const VERIFY_TOKEN = "verify-token-0001";

export type Room = AsyncDisposable & {
  url: string;
  deps: Deps;
  database: OpenTestDatabase;
  app: Database;
  platform: Database;
  nats: NatsServer;
  /** What a subscriber has got, in the order it came. */
  seen: Envelope[];
  env: Record<string, string>;
};

export type RoomOptions = {
  server?: PostgresServer;
  env?: Record<string, string>;
  /** Without a service of its own in this process. */
  isBare?: boolean;
};

export async function openRoom(options: RoomOptions = {}): Promise<Room> {
  const { server } = options;
  const [database, nats] = await Promise.all([
    openTestDatabase(server === undefined ? {} : { server }),
    startNats(),
  ]);
  const env: Record<string, string> = {
    PORT: "0",
    DATABASE_INGEST_URL: database.urls.ingest,
    DATABASE_RELAY_URL: database.urls.relay,
    NATS_URL: nats.url,
    MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
    META_APP_SECRET: `${SECRET},${FORMER_SECRET}`,
    META_VERIFY_TOKEN: VERIFY_TOKEN,
    ...options.env,
  };
  const logger = createSilentLogger();
  const deps = buildDeps(envToConfig(env), logger);
  let url = "";
  const service = await runService({
    name: "webhook-ingest",
    logger,
    start: async (scope) => {
      if (options.isBare) {
        scope.defer("bus", () => deps.bus.close());
        return;
      }
      url = (await startIngest(deps, scope)).url;
    },
  });
  if (service.state !== "RUNNING") throw new Error("webhook-ingest did not start");
  const open = (role: "app" | "platform"): Database =>
    openDatabase({ url: database.urls[role], role, applicationName: "test", poolSize: 4 });
  const [app, platform] = [open("app"), open("platform")];
  const seen: Envelope[] = [];
  const bus = createBus({ servers: [nats.url], name: "subscriber", logger });
  if (!options.isBare) {
    await until(async () => (await fetch(`${url}/health/ready`)).status === 200, {
      label: "ready",
    });
    listen(bus, seen);
  }
  return {
    url,
    deps,
    database,
    app,
    platform,
    nats,
    seen,
    env,
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await bus.close();
      await Promise.all([app.stop(), platform.stop()]);
      await nats[Symbol.asyncDispose]();
      await database.stop();
    },
  };
}

/** A subscriber drops what it has seen, and takes every event there is. */
export function listen(bus: Bus, seen: Envelope[]): void {
  const ids = new Set<string>();
  bus.consume({
    stream: EVENTS_STREAM,
    ordered: true,
    handler: ({ data, msgId = "" }) => {
      if (ids.has(msgId)) return;
      ids.add(msgId);
      const parsed = parseEvent(JSON.parse(new TextDecoder().decode(data)));
      if (!parsed.ok) throw new Error(parsed.reason);
      seen.push(parsed.envelope);
    },
  });
}

export type Line = {
  companyNo: number;
  companyId: string;
  numberNo: number;
  numberId: string;
  wabaId: string;
  phoneNumberId: string;
};

export const someId = (): string => `9${randomInt(1e12, 9e12)}`;

type LineOptions = {
  company?: { companyNo: number; companyId: string };
  wabaId?: string;
  phoneNumberId?: string;
  isActive?: boolean;
};

/** A company with a Meta number that is confirmed. */
export async function addLine(room: Room, options: LineOptions = {}): Promise<Line> {
  const { keyring } = room.database;
  const { wabaId = someId(), phoneNumberId = someId() } = options;
  const { companyNo, companyId } = options.company ?? (await addCompany(room));
  const number = await inTransaction(room.platform, (tx) =>
    createNumber(tx, companyNo, {
      numberId: newNumberId(),
      provider: "meta",
      phone: null,
      name: null,
      maxNumbers: 500,
    }),
  );
  await withCompany(room.app, companyNo, (tx) =>
    setMetaNumber(tx, keyring, number, { wabaId, phoneNumberId }),
  );
  const { numberNo, numberId } = number;
  const line = { companyNo, companyId, numberNo, numberId, wabaId, phoneNumberId };
  if (options.isActive !== false) await activate(room, line);
  return line;
}

/** What the number's owner does once Meta has confirmed it. */
export async function activate(room: Room, { numberNo }: Line): Promise<void> {
  await asSuperuser(
    room.database,
    `update numbers set is_active = true where number_no = ${numberNo}`,
  );
}

export async function addCompany(room: Room): Promise<{ companyNo: number; companyId: string }> {
  const companyId = `c${someId()}`;
  return inTransaction(room.platform, (tx) =>
    createCompany(tx, room.database.keyring, {
      companyId,
      name: companyId,
      country: null,
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "UTC",
      language: "en",
      whatsappEnabled: true,
      whatsappConfig: {},
    }),
  );
}

/** Gives the company a Meta app of its own. */
export async function giveApp(room: Room, line: Line, appSecret: string): Promise<void> {
  await withCompany(room.app, line.companyNo, (tx) =>
    putMetaApp(tx, room.database.keyring, line.companyNo, {
      appId: null,
      appSecret,
      verifyToken: `verify-${line.companyId}`,
    }),
  );
}

export function sign(body: Uint8Array, secret = SECRET): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

/** As Meta writes it: everything beyond ASCII escaped, in lower case. */
export function metaBody(value: unknown): Buffer {
  const text = JSON.stringify(value).replaceAll(
    /[\u0080-\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return Buffer.from(text);
}

export type PostOptions = { secret?: string; path?: string; header?: string | null; url?: string };

/** Sends a webhook; answers the status. */
export async function post(
  room: Pick<Room, "url">,
  body: Buffer,
  { secret = SECRET, path = "/webhooks/meta", header, url = room.url }: PostOptions = {},
): Promise<number> {
  const signature = header === undefined ? sign(body, secret) : header;
  const answer = await fetch(`${url}${path}`, {
    method: "POST",
    body: new Uint8Array(body),
    headers: {
      "content-type": "application/json",
      ...(signature === null ? {} : { "x-hub-signature-256": signature }),
    },
  });
  await answer.arrayBuffer();
  return answer.status;
}

type Place = Pick<Line, "wabaId" | "phoneNumberId">;

export function entryOf(line: Place, value: object, field = "messages"): object {
  const metadata = { display_phone_number: "15550100001", phone_number_id: line.phoneNumberId };
  return { id: line.wabaId, changes: [{ field, value: { metadata, ...value } }] };
}

export function webhookOf(...entry: object[]): Buffer {
  return metaBody({ object: "whatsapp_business_account", entry });
}

export function textMessage(more: object = {}): { id: string } {
  const id = `wamid.${someId()}.${someId()}`;
  const at = String(Math.floor(Date.now() / 1_000));
  return Object.assign(
    { from: "15550100019", id, timestamp: at, type: "text", text: { body: "hello" } },
    more,
  );
}

/** The events about this id, of this kind, that the subscriber has. */
export function eventsOf(room: Room, type: string, id: string): Envelope[] {
  return room.seen.filter(
    (one) => one.type === type && JSON.stringify(one.data).includes(JSON.stringify(id)),
  );
}

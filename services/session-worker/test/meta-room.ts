/** What tests of Meta's numbers share: a worker, the simulated Meta, and numbers there and here. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { newNumberId, normaliseMeta, parseMetaBody, shardPoke } from "@manyline/contracts";
import {
  commitIngest,
  createNumber,
  type Database,
  inTransaction,
  type NumberRow,
  openDatabase,
  setMetaNumber,
  withCompany,
} from "@manyline/db";
import { type MetaSimulator, startMetaSimulator } from "@manyline/simulators/meta";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend } from "./sending.ts";

export type Place = { wabaId: string; phoneNumberId: string; accessToken: string };
export type Line = ReturnType<MetaRoom["line"]>;
export type MetaRoom = Awaited<ReturnType<typeof openMetaRoom>>;
export const ANN = "15550100019";

export async function openMetaRoom() {
  const meta = await startMetaSimulator();
  const room = await openRoom({ env: { GRAPH_URL: meta.url } });
  return {
    meta,
    room,
    /** A number at Meta, with a token, and a person who wrote to it. */
    line: () => lineAt(meta),
    setPlace: (number: NumberRow, place: Place) => setPlace(room, number, place),
    /** Without a place nothing is asked of Meta. */
    addNumber: async (place?: Place, companyNo?: number) => {
      const number = await addNumber(room, companyNo);
      if (place) await setPlace(room, number, place);
      return number;
    },
    reaches: (number: NumberRow, status: string, reason: string) =>
      until(
        async () => {
          const { number: row } = await room.status(number);
          return row.status === status && row.reason === reason ? row : undefined;
        },
        { label: `${status}/${reason}`, deadlineMs: 15_000 },
      ),
    send: (number: NumberRow, more: Parameters<typeof enqueue>[3] = {}, phone = ANN) =>
      enqueue(room, { number, phone: "1" }, { phone }, { provider: "meta", ...more }),
    told: (number: NumberRow, queued: { messageId: string }, type: string) =>
      untilSend(room, { number, phone: "1" }, queued, type, 20_000),
    close: async () => {
      await room.close();
      await meta.close();
    },
  };
}

function lineAt(meta: MetaSimulator) {
  const { number, waba, token } = meta.world.addLine();
  meta.say(number.id, ANN, "hello");
  const place = { wabaId: waba.id, phoneNumberId: number.id, accessToken: token.token };
  return { number, waba, token, place };
}

/** What a person sets over REST. */
async function setPlace(room: Room, number: NumberRow, place: Place): Promise<void> {
  await withCompany(room.app, number.companyNo, (tx) =>
    setMetaNumber(tx, room.database.keyring, number, place),
  );
  room.bus.poke(shardPoke(number.shardId));
}

async function addNumber(room: Room, companyNo?: number): Promise<NumberRow> {
  const company = companyNo ?? (await room.company()).companyNo;
  return inTransaction(room.platform, (tx) =>
    createNumber(tx, company, {
      numberId: newNumberId(),
      provider: "meta",
      phone: null,
      name: null,
      maxNumbers: 500,
    }),
  );
}

/** What webhook-ingest does with a webhook for the number. Its role's database. */
export async function takeWebhook(
  db: Database,
  { database }: Room,
  { place }: Pick<Line, "place">,
  value: object,
  field = "messages",
): Promise<void> {
  const metadata = { phone_number_id: place.phoneNumberId };
  const changes = [{ field, value: field === "messages" ? { metadata, ...value } : value }];
  const entry = [{ id: place.wabaId, time: Math.floor(Date.now() / 1_000), changes }];
  const body = { object: "whatsapp_business_account", entry };
  const raw = Buffer.from(JSON.stringify(body));
  const webhook = normaliseMeta(body, new Date());
  await commitIngest(db, database.keyring, { service: "webhook-ingest" }, [
    { webhook, body, raw, app: null },
  ]);
}

/** An address for webhooks, which commits them as webhook-ingest does. */
export async function openHook(room: Room) {
  const db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
  const statuses: Record<string, unknown>[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = await buffer(request);
    const body = parseMetaBody(raw.toString());
    const webhook = normaliseMeta(body, new Date());
    const { keyring } = room.database;
    await commitIngest(db, keyring, { service: "webhook-ingest" }, [
      { webhook, body, raw, app: null },
    ]);
    const { entry } = body as { entry: { changes: { value: { statuses?: object[] } }[] }[] };
    for (const { changes } of entry)
      for (const { value } of changes)
        statuses.push(...((value.statuses ?? []) as typeof statuses));
    response.end();
  };
  const server = createServer((request, response) => void take(request, response));
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    statuses,
    [Symbol.asyncDispose]: async () => {
      server.close();
      await db.stop();
    },
  };
}

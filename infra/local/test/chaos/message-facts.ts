/** What the event log, a subscriber and the queue have of messages: read behind the product's back. */
import { EVENTS_STREAM } from "@manyline/contracts";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { Pool } from "pg";
import type { Fleet, SimulatedWhatsApp } from "../../src/testing/fleet.ts";
import type { Row as SendRow, Told } from "./message-judge.ts";

export type MessageFacts = AsyncDisposable & {
  /** Every event of a message, in the order of the log. */
  log: () => Promise<Told[]>;
  /** Every delivery to a durable subscriber of the stream, in their order. */
  heard: readonly Told[];
  /** Messages that were to be sent. */
  rows: () => Promise<SendRow[]>;
  query: <Row extends object>(text: string, values?: unknown[]) => Promise<Row[]>;
};

/** Sees through row security, and goes on after outages. */
export function openMessageFacts(fleet: Fleet<SimulatedWhatsApp>): MessageFacts {
  const pool = new Pool({ connectionString: fleet.database.superuserUrl, max: 2 });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  const query = async <Row extends object>(text: string, values?: unknown[]): Promise<Row[]> =>
    (await pool.query<Row>(text, values)).rows;
  const heard: Told[] = [];
  const bus = createBus({ servers: fleet.nats.url, name: "chaos", logger: createSilentLogger() });
  bus.consume({
    stream: EVENTS_STREAM,
    durable: "chaos",
    filterSubject: "message.>",
    handler: ({ data }) => {
      heard.push(toldOf(JSON.parse(Buffer.from(data).toString())));
    },
  });
  return {
    heard,
    query,
    log: async () => {
      const rows = await query<{ envelope: unknown }>(
        "select envelope from whatsapp_events where type like 'message.%' order by event_no",
      );
      return rows.map(({ envelope }) => toldOf(envelope));
    },
    rows: () =>
      query<SendRow>(`select message_id as "messageId", provider_message_id as "providerMessageId", state,
        attempts::int from messages where direction = 'out' order by message_id`),
    [Symbol.asyncDispose]: async () => {
      await bus.close();
      await pool.end();
    },
  };
}

function toldOf(envelope: unknown): Told {
  const { id, type, seq, data } = envelope as {
    id: string;
    type: string;
    seq?: number;
    data: { chat: { id: string }; providerMessageId: string; text?: string | null };
  };
  const { chat, providerMessageId, text = null } = data;
  return { id, type, seq: seq ?? 0, chatId: chat.id, providerMessageId, text };
}

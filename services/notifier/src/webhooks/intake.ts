/** Puts events off the stream into the queues of those who subscribe to them. */
import { EVENTS_STREAM, parseEvent } from "@manyline/contracts";
import { filtersOf } from "@manyline/contracts/webhooks";
import { type Database, type QueuedEvent, queueDeliveries } from "@manyline/db";
import type { Bus, BusSubscription, StreamMessage } from "@manyline/runtime";
import type { Reports } from "../reports.ts";
import type { Queues } from "./queues.ts";

const BATCH = 200;

/** All notifiers share one place in the stream. */
export function consumeEvents(deps: {
  bus: Bus;
  db: Database;
  queues: Queues;
  reports: Reports;
}): BusSubscription {
  const { bus, db, queues, reports } = deps;
  return bus.consume({
    stream: EVENTS_STREAM,
    durable: "notifier-webhooks",
    batch: { maxMessages: BATCH },
    maxInFlight: BATCH * 2,
    handleBatch: async (messages) => {
      const events = messages.flatMap((message) => {
        const event = readEvent(message);
        if (typeof event !== "string") return [event];
        reports.unreadable(event);
        return [];
      });
      if (events.length === 0) return;
      for (const key of await queueDeliveries(db, events)) queues.wake(key);
    },
  });
}

/** A text: why it cannot be read. */
function readEvent({ data }: StreamMessage): QueuedEvent | string {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return "not-json";
  }
  const parsed = parseEvent(value);
  if (!parsed.ok) return parsed.reason;
  const { id, type, companyid, seq, time, data: facts } = parsed.envelope;
  return {
    eventId: id,
    companyId: companyid,
    type,
    filters: filtersOf(type),
    chat: chatOf(facts),
    seq: seq ?? null,
    at: new Date(time),
  };
}

/** What is in no chat has no order. */
function chatOf(data: unknown): string | null {
  const { chat } = Object(data) as { chat?: unknown };
  const { id } = Object(chat) as { id?: unknown };
  return typeof id === "string" ? id : null;
}

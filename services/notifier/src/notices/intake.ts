/** Takes events off the stream and queues what people are to be told of them. */
import { EVENTS_STREAM, type Envelope, parseEvent } from "@manyline/contracts";
import { noticesOf } from "@manyline/contracts/notices";
import {
  type Database,
  endNoticeLinks,
  isUnavailable,
  type NoticeNumber,
  queueNotifications,
  readNoticeNumbers,
  readReaders,
} from "@manyline/db";
import type { Bus, BusSubscription, StreamMessage } from "@manyline/runtime";
import type { NoticeReports } from "./reports.ts";
import { noteLosses, type SessionFact } from "./losses.ts";
import { rowsOf } from "./queueing.ts";

const BATCH = 200;
/** A code cannot wait for long. */
const LONGEST_PAUSE_MS = 4_000;

/** However long it is away, no event is given up. */
class DatabaseAway extends Error {
  readonly retry = "later" as const;
}

/** Most of a stream is messages, of which nobody is told: they are not even read. */
const FAMILIES: ReadonlySet<string> = new Set(["session", "pairing", "number", "company"]);

export type IntakeOptions = {
  bus: Bus;
  db: Database;
  reports: NoticeReports;
  lossMs: number;
  gatherMs: number;
  onQueued: () => void;
};

/** All notifiers share one place in the stream. */
export function consumeForNotices(options: IntakeOptions): BusSubscription {
  return options.bus.consume({
    stream: EVENTS_STREAM,
    durable: "notifier-notices",
    batch: { maxMessages: BATCH },
    maxInFlight: BATCH * 2,
    retryDelayMs: (attempt) => Math.min(LONGEST_PAUSE_MS, 250 * 2 ** attempt),
    handleBatch: async (messages) => {
      const events = messages.flatMap((message) => readEvent(message, options.reports) ?? []);
      if (events.length === 0) return;
      await takeEvents(options, events).catch((error: unknown) => {
        throw isUnavailable(error) ? new DatabaseAway("Postgres is away", { cause: error }) : error;
      });
    },
  });
}

async function takeEvents(
  { db, lossMs, gatherMs, onQueued }: IntakeOptions,
  events: readonly Envelope[],
): Promise<void> {
  const readers = await readReaders(
    db,
    events.map(({ companyid }) => companyid),
  );
  const wanted = events.flatMap((event) => {
    const reader = readers.get(event.companyid);
    const numberId = numberIdOf(event);
    return reader && numberId !== undefined ? [{ companyNo: reader.companyNo, numberId }] : [];
  });
  const numbers = await readNoticeNumbers(db, wanted);
  const numberOf = (event: Envelope): NoticeNumber | undefined =>
    numbers.get(`${readers.get(event.companyid)?.companyNo ?? 0} ${numberIdOf(event) ?? ""}`);

  const sessions = events.flatMap((event): SessionFact[] => {
    const number = numberOf(event);
    if (!event.type.startsWith("session.") || number === undefined) return [];
    return [{ number, data: event.data as SessionFact["data"] }];
  });
  await noteLosses(db, sessions, lossMs);
  const linked = events.flatMap((event) =>
    event.type === "pairing.succeeded" ? (numberOf(event) ?? []) : [],
  );
  if (linked.length > 0) await endNoticeLinks(db, linked);

  const notices = events.flatMap((event) => {
    const reader = readers.get(event.companyid);
    if (reader === undefined) return [];
    const number = numberOf(event);
    // About a number that is gone there is nothing to tell.
    if (numberIdOf(event) !== undefined && number === undefined) return [];
    const about = {
      companyNo: reader.companyNo,
      numberNo: number?.numberNo ?? null,
      eventId: event.id,
    };
    return noticesOf(event).flatMap((notice) => rowsOf(notice, reader, about));
  });
  if ((await queueNotifications(db, notices, gatherMs)) > 0) onQueued();
}

/** Undefined: it is none of which people are told, or cannot be read. */
function readEvent({ subject, data }: StreamMessage, reports: NoticeReports): Envelope | undefined {
  if (!FAMILIES.has(subject.split(".")[0] ?? "")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    reports.unreadable("not-json");
    return undefined;
  }
  const parsed = parseEvent(value);
  if (parsed.ok) return parsed.envelope;
  reports.unreadable(parsed.reason);
  return undefined;
}

function numberIdOf({ numberid, data }: Envelope): string | undefined {
  if (numberid !== undefined) return numberid;
  const { numberId } = Object(data) as { numberId?: unknown };
  return typeof numberId === "string" ? numberId : undefined;
}

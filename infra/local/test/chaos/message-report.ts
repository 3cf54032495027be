/** Waits until messages have come to rest, judges them and tells the counts as one table. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { MessageFacts } from "./message-facts.ts";
import {
  dropById,
  judgeHeard,
  judgeInbound,
  judgeLog,
  judgeOutbound,
  type Told,
} from "./message-judge.ts";
import type { MessageLoad } from "./message-load.ts";

/** Nothing has moved for so long: what is not there by now does not come. */
const SILENCE_MS = 40_000;
const LOOK_MS = 250;

/** Until every message is told, delivered and heard, or nothing has moved for long. */
export async function untilAtRest(load: MessageLoad, facts: MessageFacts): Promise<void> {
  let last = "";
  for (let since = performance.now(); performance.now() - since < SILENCE_MS;) {
    const [row] = await facts.query<Record<"received" | "events" | "final" | "open", number>>(
      `select (select count(*)::int from whatsapp_events where type = 'message.received') as received,
        (select count(*)::int from whatsapp_events where type like 'message.%') as events,
        (select count(*)::int from messages where direction = 'out' and state in ('delivered', 'read')) as final,
        (select count(*)::int from messages where is_open) as open`,
    );
    const heard = new Set(facts.heard.map(({ id }) => id)).size;
    const isAll =
      row?.received === load.written.length &&
      row.final === load.accepted.length &&
      row.open === 0 &&
      heard === row.events;
    if (isAll) return;
    const now = `${JSON.stringify(row)} ${heard}`;
    if (now !== last) since = performance.now();
    last = now;
    await delay(LOOK_MS);
  }
}

/**
 * Judges everything that was written and accepted so far. Everything is told, then what is wrong fails the test.
 * @param more lines of the table
 */
export async function judgeMessages(
  t: TestContext,
  load: MessageLoad,
  facts: MessageFacts,
  more: Readonly<Record<string, number | string>> = {},
): Promise<Record<string, unknown>> {
  await untilAtRest(load, facts);
  const log = await facts.log();
  const rows = await facts.rows();
  const shown = await load.shown();
  const inbound = judgeInbound(load.written, log);
  const heardInbound = judgeInbound(load.written, dropById(facts.heard));
  const own = judgeLog(log);
  const heard = judgeHeard(log, facts.heard);
  const outbound = judgeOutbound(load.accepted, rows, shown, log);
  const stats = await load.stats();
  const lateStanzas = await load.lateStanzas();

  table(t, {
    ...more,
    "in: written by phones": inbound.written,
    "in: message.received in the log": inbound.told,
    "in: lost, in the log / at the subscriber": both(inbound.lost, heardInbound.lost),
    "in: told twice, in the log / at the subscriber": both(
      inbound.toldTwice,
      heardInbound.toldTwice,
    ),
    "in: another text, or nobody's": inbound.bent.length + inbound.invented.length,
    "in: out of order in a chat": both(inbound.outOfOrder, heardInbound.outOfOrder),
    "in: unreadable at first; copies asked for again": `${inbound.waiting.length}; ${String(stats["clientRetries"])}`,
    "events of messages in the log": own.events,
    "events: an id twice / a place in a chat twice": both(own.idTwice, own.seqTwice),
    "subscriber: deliveries": heard.deliveries,
    "subscriber: redelivered, dropped by id": heard.droppedById,
    "subscriber: not heard / not in the log": both(heard.unheard, heard.invented),
    "out: accepted (202)": outbound.accepted,
    "out: requests repeated with their key": load.retries,
    "out: of these, answered with the earlier message": load.repeatedAnswers,
    "out: 202 without a row / two with one / rows without a 202": `${both(outbound.withoutRow, outbound.sharedRow)} / ${outbound.extraRows.length}`,
    "out: shown by phones": outbound.shown,
    "out: lost": outbound.lost.length,
    "out: claimed once more, after the owner ended in the middle": outbound.claimedAgain,
    "out: repeats with the same id, which phones drop": outbound.repeats,
    "out: repeats or messages with another id": outbound.underAnotherId.length,
    "out: nobody's": outbound.invented.length,
    "out: out of order in a chat": outbound.outOfOrder.length,
    "out: not delivered at the end": outbound.notDelivered.length,
    "out: message.sent not told once": outbound.notToldOnce.length,
    "out: copies that phones asked for again": String(stats["phoneRetries"]),
    "sent by a connection after a newer login": lateStanzas,
  });
  const found = { inbound, heardInbound, own, heard, outbound, stats, lateStanzas };
  for (const [where, verdict] of Object.entries({ inbound, heardInbound, own, heard, outbound })) {
    for (const [what, list] of Object.entries(verdict)) {
      if (!Array.isArray(list)) continue;
      for (const one of list.slice(0, 5)) t.diagnostic(`${where}, ${what}: ${one}`);
    }
  }
  return found;
}

/** Fails for whatever is in one of the lists of a verdict. */
export function assertNothingWrong(found: Record<string, unknown>): void {
  for (const where of ["inbound", "heardInbound", "own", "heard", "outbound"]) {
    for (const [what, list] of Object.entries(found[where] ?? {})) {
      if (Array.isArray(list)) assert.deepEqual(list, [], `${where}: ${what}`);
    }
  }
  assert.equal(found["lateStanzas"], 0, "sent after a newer login");
}

/** Conversations whose events name more than one chat, or none. */
export function splitChats(load: MessageLoad, log: readonly Told[]): string[] {
  const chats = Map.groupBy(load.written, ({ chat }) => chat);
  const chatOf = new Map(log.map((event) => [event.providerMessageId, event.chatId]));
  return [...chats].flatMap(([name, written]) =>
    new Set(written.map(({ id }) => chatOf.get(id))).size === 1 ? [] : [name],
  );
}

function both(one: readonly unknown[], other: readonly unknown[]): string {
  return `${one.length} / ${other.length}`;
}

function table(t: TestContext, lines: Readonly<Record<string, number | string>>): void {
  const width = Math.max(...Object.keys(lines).map(({ length }) => length));
  for (const [name, value] of Object.entries(lines)) {
    t.diagnostic(`${name.padEnd(width)}  ${String(value)}`);
  }
}

/** What tests about messages share: linked numbers, people who write to them, and what was told of it. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import type { Envelope } from "@manyline/contracts";
import { listEvents, openDatabase, withCompany, type NumberRow } from "@manyline/db";
import type { PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import type { Room } from "./room.ts";

export type Told = Envelope<Record<string, unknown>>;
export type Linked = { number: NumberRow; phone: string };

/** A number linked to a phone of its own, in a company of its own unless one is given. */
export async function linked(
  room: Room,
  company?: Awaited<ReturnType<Room["company"]>>,
): Promise<Linked> {
  const number = await room.number(company ?? (await room.company()));
  const phone = room.phone();
  await room.command(number, "pair_code", { phone });
  const code = await until(() => room.secret(number), { label: "a code" });
  await room.simulator.server.phone(phone).enterCode(code);
  await until(async () => (await room.status(number)).number.status === "connected", {
    label: "connected",
  });
  return { number, phone };
}

/** Somebody who writes, on a phone of their own. */
export function contact(room: Room, name: string): { phone: string; messages: PhoneMessages } {
  const phone = room.phone();
  return { phone, messages: room.simulator.server.phone(phone, name).messages };
}

/** Everything that was told of a number, in the order of the event log; after an event, if one is named. */
export async function allTold(room: Room, { number }: Linked, after?: string): Promise<Told[]> {
  const { companyNo, numberNo } = number;
  const told: Told[] = [];
  for (let afterId = after; ;) {
    const page = await withCompany(room.app, companyNo, (tx) =>
      listEvents(tx, { companyNo, numberNo, afterId, limit: 500 }),
    );
    told.push(...page.map((one) => one.envelope as Told));
    if (page.length < 500) return told;
    afterId = page.at(-1)?.eventId;
  }
}

export async function toldOfMessages(room: Room, one: Linked): Promise<Told[]> {
  return (await allTold(room, one)).filter(({ type }) => type.startsWith("message."));
}

/** Waits until so many events of messages are there, and returns them. */
export async function untilTold(room: Room, one: Linked, count: number): Promise<Told[]> {
  return until(
    async () => {
      const told = await toldOfMessages(room, one);
      return told.length >= count ? told : undefined;
    },
    { label: `${count} events of messages` },
  );
}

/** Waits until so many events of messages are there, or none has come for so long. */
export async function untilNoMore(
  room: Room,
  one: Linked,
  count: number,
  silenceMs: number,
): Promise<Told[]> {
  let last: string | undefined;
  let found = 0;
  for (let silentSince = performance.now(); found < count;) {
    const more = await allTold(room, one, last);
    found += more.filter(({ type }) => type.startsWith("message.")).length;
    last = more.at(-1)?.id ?? last;
    if (more.length > 0) silentSince = performance.now();
    if (performance.now() - silentSince > silenceMs) break;
    await delay(200);
  }
  return toldOfMessages(room, one);
}

/** The newest event, once WhatsApp's id of the message is in it. */
export async function toldOf(room: Room, one: Linked, type: string, id: string): Promise<Told> {
  return until(
    async () =>
      (await toldOfMessages(room, one)).find(
        (event) => event.type === type && event.data["providerMessageId"] === id,
      ),
    { label: `${type} of ${id}` },
  );
}

/** A field of an event that has fields of its own. */
export function field({ data }: Told, name: string): Record<string, unknown> {
  return data[name] as Record<string, unknown>;
}

/**
 * Each of `sent` (ids by the name of who wrote them, in order) was told exactly once, nothing else was, in the
 * order of each chat; `seq` grows by one with every event of a chat.
 */
export function assertAllOnce(told: readonly Told[], sent: ReadonlyMap<string, string[]>): void {
  const received = told.filter(({ type }) => type === "message.received");
  const ids = received.map(({ data }) => String(data["providerMessageId"]));
  const expected = [...sent.values()].flat();
  const missing = expected.filter((id) => !ids.includes(id));
  assert.deepEqual(missing, [], "lost");
  assert.equal(new Set(ids).size, ids.length, "told twice");
  assert.equal(ids.length, expected.length, "told of what nobody sent");
  assert.equal(new Set(told.map(({ id }) => id)).size, told.length, "an event's id twice");
  for (const [name, order] of sent) {
    const chat = received
      .filter((event) => field(event, "chat")["name"] === name)
      .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
    assert.deepEqual(
      chat.map(({ data }) => data["providerMessageId"]),
      order,
      `the order of ${name}`,
    );
    assert.deepEqual(
      chat.map(({ seq }) => seq),
      order.map((_, index) => index + 1),
      `the seq of ${name}`,
    );
  }
}

/** How many entries of the journal were not told yet, of all numbers. */
export async function openEntries(room: Room): Promise<number> {
  await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
  const open = await db
    .selectFrom("inboundJournal")
    .select("entryNo")
    .where("doneAt", "is", null)
    .execute();
  return open.length;
}

/** What tests about sending share: the test plays the gateway where the two meet, at the queue. */
import assert from "node:assert/strict";
import {
  newLinkedMessageId,
  sendPayload,
  shardPoke,
  type CompanyId,
  type NumberId,
} from "@manyline/contracts";
import { enqueueMessage, openDatabase, withCompany, type SendInput } from "@manyline/db";
import { until } from "@manyline/testkit";
import { toldOfMessages, type Linked, type Told } from "./conversations.ts";
import type { Room } from "./room.ts";

export type Queued = { messageId: string; providerMessageId: string };

/** Puts a message into the queue of the number, and pokes its owner. */
export async function enqueue(
  room: Room,
  { number, phone }: Linked,
  to: SendInput["to"],
  more: Partial<SendInput> = {},
): Promise<Queued> {
  const { companyNo, numberNo, shardId, numberId } = number;
  const providerMessageId = newLinkedMessageId();
  const { company } = await room.status(number);
  const { messageId } = await withCompany(room.app, companyNo, (tx) =>
    enqueueMessage(tx, {
      companyNo,
      numberNo,
      companyId: company.companyId as CompanyId,
      numberId: numberId as NumberId,
      provider: "linked",
      phone,
      service: "test",
      to,
      type: "text",
      text: "good day",
      providerMessageId,
      ...more,
    }),
  );
  room.bus.poke(shardPoke(shardId), sendPayload(numberNo));
  return { messageId, providerMessageId };
}

/** What was told of one message that we sent, in the order of its chat. */
export async function toldOfSend(
  room: Room,
  one: Linked,
  { messageId }: Pick<Queued, "messageId">,
): Promise<Told[]> {
  const told = await toldOfMessages(room, one);
  return told
    .filter(({ data }) => data["messageId"] === messageId)
    .toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0));
}

/** Waits for an event of a message that we sent. */
export function untilSend(
  room: Room,
  one: Linked,
  queued: Pick<Queued, "messageId">,
  type: string,
  deadlineMs = 10_000,
): Promise<Told> {
  return until(
    async () => (await toldOfSend(room, one, queued)).find((event) => event.type === type),
    { label: `${type} of ${queued.messageId}`, deadlineMs },
  );
}

/** States of a number's messages that were to be sent, and how many of each. */
export async function sendStates(room: Room, { number }: Linked): Promise<Record<string, number>> {
  await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
  const rows = await db
    .selectFrom("messages")
    .select("state")
    .where("numberNo", "=", number.numberNo)
    .where("direction", "=", "out")
    .execute();
  const states: Record<string, number> = {};
  for (const { state } of rows) states[state] = (states[state] ?? 0) + 1;
  return states;
}

/** Each of these ids was received exactly once by somebody, in this order; copies of an id are counted. */
export function assertReceived(
  received: readonly { id: string; copies: number; chat: string }[],
  ids: readonly string[],
): void {
  assert.deepEqual(
    received.map(({ id }) => id),
    ids,
  );
}

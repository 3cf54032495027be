import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  messageDelivered,
  messageFailed,
  messageReaction,
  messageReceived,
  messageSent,
} from "@manyline/contracts";
import { housekeeping, lostSends, type Status } from "../src/index.ts";
import {
  AT,
  dataOf,
  lineOf,
  openLine,
  providerId,
  sendingIn,
  sent,
  stranger,
  textFrom,
  types,
} from "./message-support.ts";
import { addMetaNumber } from "./meta-support.ts";
import { openWorld, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const { enqueue, claim, note } = sendingIn(() => world);

describe("statuses", () => {
  test("only forward, each told once with the next seq, by our id or by WhatsApp's", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    const [send] = await claim(line);
    const providerMessageId = send?.providerMessageId ?? "";
    const by = (state: Status["state"]): Status => ({ providerMessageId, state, at: AT });
    const first = await note(line, sent(messageId), by("delivered"), by("sent"));
    assert.deepEqual(types(first), ["message.sent", "message.delivered"]);
    assert.deepEqual(
      first.map(({ envelope }) => envelope.seq),
      [2, 3],
    );
    assert.equal(dataOf(first, messageSent).providerMessageId, providerMessageId);
    assert.deepEqual(await note(line, by("delivered"), by("failed"), sent(messageId)), []);
    const last = await note(line, by("read"), by("read"), {
      ...by("read"),
      providerMessageId: "?",
    });
    assert.deepEqual(types(last), ["message.read"]);
    assert.equal(last[0]?.envelope.seq, 4);
    const { rows } = await world.superuser.query<{ state: string }>(
      "select state from messages where message_id = $1",
      [messageId],
    );
    assert.equal(rows[0]?.state, "read");
  });

  test("a failure names its reason; what failed may turn out to be delivered", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    await claim(line);
    const error = { code: "contact_token_missing", title: "No." };
    const failed = await note(line, { messageId, state: "failed", at: AT, error });
    assert.deepEqual(dataOf(failed, messageFailed).error, error);
    const late = await note(line, { messageId, state: "delivered", at: AT });
    assert.equal(dataOf(late, messageDelivered).error, null);
  });

  test("of what others wrote there is no status; the echo of what we sent is not told", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const received = textFrom(anna);
    await line.commit(received);
    const by = { providerMessageId: received.providerMessageId, state: "read", at: AT } as const;
    assert.deepEqual(await note(line, by), []);
    const { messageId } = await enqueue(line, { to: { phone: anna.phone } });
    const [send] = await claim(line);
    const { providerMessageId = "" } = send ?? {};
    const echo = textFrom(anna, { event: "echoed", from: null, providerMessageId });
    assert.deepEqual(await line.commit(echo), { events: [], repeated: 1, files: [] });
    assert.equal((await note(line, sent(messageId))).length, 1);
  });

  test("our reaction is applied and told when it was sent, its echo is not", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const message = textFrom(anna);
    const { messageId } = dataOf((await line.commit(message)).events, messageReceived);
    const providerMessageId = providerId();
    const { events } = await enqueue(line, {
      to: { phone: anna.phone },
      type: "reaction",
      text: null,
      content: { emoji: "👍" },
      contextId: messageId,
      providerMessageId,
    });
    assert.deepEqual(events, []);
    const [send] = await claim(line);
    assert.deepEqual([send?.type, send?.content?.emoji], ["reaction", "👍"]);
    const told = await note(line, sent(send?.messageId ?? ""));
    assert.deepEqual(types(told), ["message.sent", "message.reaction"]);
    const { seq } = told[1]?.envelope ?? {};
    assert.equal(seq, 3, "after message.received and message.sent: no gap");
    assert.equal(dataOf(told, messageReaction).messageId, messageId);
    const { rows } = await world.superuser.query<{ reactions: object }>(
      "select reactions from messages where message_id = $1",
      [messageId],
    );
    assert.deepEqual(rows[0]?.reactions, { me: "👍" });
    const echo = await line.commit({
      kind: "reaction",
      target: message.providerMessageId,
      providerMessageId,
      chat: message.chat,
      from: null,
      at: AT,
      emoji: "👍",
    });
    assert.deepEqual(echo, { events: [], repeated: 1, files: [] });
  });
});

test("what is unknown for long is found for Meta numbers, and forgotten once it is known", async () => {
  const { company, number } = await addMetaNumber(world);
  await takeAll(world, "w1");
  const { rows } = await world.superuser.query<{ epoch: string }>(
    "select epoch from number_fence where number_no = $1",
    [number.numberNo],
  );
  const fence = {
    companyNo: company.companyNo,
    numberNo: number.numberNo,
    epoch: Number(rows[0]?.epoch),
  };
  const line = lineOf(world, { company, number, fence });
  const { messageId } = await enqueue(line);
  await note(line, { messageId, state: "unknown", at: new Date() });
  const owner = { workerId: "w1", shardIds: [number.shardId] };
  assert.deepEqual(await lostSends(world.worker, owner, 60_000, 10), []);
  assert.deepEqual(await lostSends(world.worker, owner, 0, 10), [
    { numberNo: number.numberNo, messageId },
  ]);
  await note(line, { messageId, state: "sent", at: new Date() });
  assert.deepEqual(await lostSends(world.worker, owner, 0, 10), []);
  assert.equal((await housekeeping(world.worker))["knownSendsDeleted"], 1);
});

/** The judge of messages finds what is lost, doubled, bent, invented or out of order; each is shown to it once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  dropById,
  judgeHeard,
  judgeInbound,
  judgeLog,
  judgeOutbound,
  type Row,
  type Shown,
  type Told,
} from "./message-judge.ts";

const written = ["a1", "a2", "a3", "b1", "b2"].map((id) => ({
  chat: id.slice(0, 1),
  id,
  text: `text of ${id}`,
}));

/** The event of a message of `written`, in the place within its chat that its id names. */
function received(id: string, change: Partial<Told> = {}): Told {
  return {
    id: `evt_${id}`,
    type: "message.received",
    seq: Number(id.slice(1)),
    chatId: id.slice(0, 1),
    providerMessageId: id,
    text: `text of ${id}`,
    ...change,
  };
}

const log = written.map(({ id }) => received(id));
const without = (id: string): Told[] => log.filter((event) => event.providerMessageId !== id);

test("inbound: all is well when each was told once, in any order of the log", () => {
  const { written: count, told, ...wrong } = judgeInbound(written, log.toReversed());
  assert.deepEqual([count, told], [5, 5]);
  for (const list of Object.values(wrong)) assert.deepEqual(list, []);
});

test("inbound: a lost one, a doubled one, a bent one and an invented one are found", () => {
  assert.deepEqual(judgeInbound(written, without("a2")).lost, ["text of a2"]);
  const twice = [...log, received("a2", { id: "evt_other", seq: 4 })];
  assert.deepEqual(judgeInbound(written, twice).toldTwice, ["a2"]);
  const bent = [...without("b1"), received("b1", { text: "text of b2" })];
  assert.deepEqual(judgeInbound(written, bent).bent, ["text of b1"]);
  assert.deepEqual(judgeInbound(written, [...log, received("c1")]).invented, ["c1"]);
  const waiting = [...without("b1"), received("b1", { type: "message.waiting" })];
  assert.deepEqual(judgeInbound(written, waiting).waiting, ["evt_b1"]);
  assert.deepEqual(judgeInbound(written, waiting).lost, ["text of b1"]);
});

test("inbound: a swapped order is found, also around one that is lost, and only within a chat", () => {
  const swapped = [...log.slice(2), received("a1", { seq: 2 }), received("a2", { seq: 1 })];
  assert.deepEqual(judgeInbound(written, swapped).outOfOrder, ["text of a2"]);
  const around = [received("a1", { seq: 3 }), received("a3", { seq: 1 })];
  assert.deepEqual(judgeInbound(written, around).outOfOrder, ["text of a3"]);
  const apart = log.map((event) => ({
    ...event,
    seq: event.chatId === "a" ? event.seq : event.seq - 10,
  }));
  assert.deepEqual(judgeInbound(written, apart).outOfOrder, []);
});

test("the log: an event's id twice and a place in a chat twice are found", () => {
  assert.deepEqual(judgeLog(log), { events: 5, idTwice: [], seqTwice: [] });
  assert.deepEqual(judgeLog([...log, received("a1")]).idTwice, ["evt_a1"]);
  const place = [...log, received("a4", { seq: 3 })];
  assert.deepEqual(judgeLog(place).seqTwice, ["a 3"]);
});

test("a subscriber: what it did not hear, heard again and cannot have heard is found", () => {
  const again = [...log, received("a1")];
  assert.deepEqual(judgeHeard(log, again), {
    deliveries: 6,
    droppedById: 1,
    unheard: [],
    invented: [],
  });
  assert.deepEqual(dropById(again), log);
  assert.deepEqual(judgeHeard(log, without("b2")).unheard, ["evt_b2"]);
  assert.deepEqual(judgeHeard(without("b2"), log).invented, ["evt_b2"]);
  // Not to be dropped: the same message under another id is told twice.
  const other = [...log, received("a1", { id: "evt_other" })];
  assert.deepEqual(judgeInbound(written, dropById(other)).toldTwice, ["a1"]);
});

const accepted = written.map(({ chat, id, text }) => ({ chat, messageId: `msg_${id}`, text }));
const rows = written.map(({ id }): Row => ({
  messageId: `msg_${id}`,
  providerMessageId: id,
  state: "delivered",
  attempts: 1,
}));
const shown = written.map(({ chat, id, text }): Shown => ({ chat, id, text, copies: 1 }));
const sent = written.map(({ id }) => received(id, { type: "message.sent", text: null }));

test("outbound: all is well when each is shown once", () => {
  const {
    accepted: count,
    shown: on,
    repeats,
    claimedAgain,
    ...wrong
  } = judgeOutbound(accepted, rows, shown, sent);
  assert.deepEqual([count, on, repeats, claimedAgain], [5, 5, 0, 0]);
  for (const list of Object.values(wrong)) assert.deepEqual(list, []);
});

test("outbound: what is missing, repeated, under another id or invented is found", () => {
  const judge = (list: Shown[]) => judgeOutbound(accepted, rows, list, sent);
  assert.deepEqual(judge(shown.slice(1)).lost, ["text of a1"]);
  const [first, ...others] = shown;
  assert.ok(first);
  assert.equal(judge([{ ...first, copies: 3 }, ...others]).repeats, 2);
  assert.deepEqual(judge([...shown, { ...first, id: "x" }]).underAnotherId, ["text of a1"]);
  assert.deepEqual(judge([{ ...first, id: "x" }, ...others]).underAnotherId, ["text of a1"]);
  assert.deepEqual(judge([...shown, { ...first, text: "who?" }]).invented, ["who?"]);
  const [a1, a2, ...rest] = shown;
  assert.ok(a1 && a2);
  assert.deepEqual(judge([a2, a1, ...rest]).outOfOrder, ["text of a2"]);
});

test("outbound: a row that is missing, shared or told of by nobody, and a status that is not final, are found", () => {
  const judge = (list: Row[], told = accepted) => judgeOutbound(told, list, shown, sent);
  assert.deepEqual(judge(rows.slice(1)).withoutRow, ["text of a1"]);
  assert.deepEqual(judge(rows, accepted.slice(1)).extraRows, ["msg_a1"]);
  const [first] = rows;
  const [answer] = accepted;
  assert.ok(first && answer);
  assert.equal(judge([{ ...first, attempts: 2 }, ...rows.slice(1)]).claimedAgain, 1);
  assert.deepEqual(judge(rows, [...accepted, answer]).sharedRow, ["msg_a1"]);
  assert.deepEqual(judge([{ ...first, state: "sent" }, ...rows.slice(1)]).notDelivered, [
    "msg_a1 sent",
  ]);
  assert.deepEqual(judgeOutbound(accepted, rows, shown, sent.slice(1)).notToldOnce, ["text of a1"]);
  const again = [...sent, received("a1", { type: "message.sent", id: "evt_other" })];
  assert.deepEqual(judgeOutbound(accepted, rows, shown, again).notToldOnce, ["text of a1"]);
});

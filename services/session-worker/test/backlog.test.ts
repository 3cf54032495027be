/** A number that was away for long: what had waited comes in order, all of it once, whatever is thrown in between. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { after, before, it } from "node:test";
import { until } from "@manyline/testkit";
import {
  assertAllOnce,
  contact,
  linked,
  toldOf,
  toldOfMessages,
  type Told,
} from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend } from "./sending.ts";

let room: Room;
before(async () => {
  room = await openRoom();
});
after(() => room.close());

type Server = Room["simulator"]["server"];
type Devices = ReturnType<Server["account"]>["devices"];
type Stanza =
  Devices extends Map<number, infer Device extends { push: (stanza: never) => void }>
    ? Parameters<Device["push"]>[0]
    : never;

const MESSAGES = 1_000;
const NAMES = ["Ann", "Bo", "Cleo", "Dora", "Emil"];

/** What no phone sends. `from`: somebody's address. */
const HOSTILE: readonly ((from: string, nth: number) => Stanza)[] = [
  (from, nth) => message({ from, id: `H${nth}` }, { type: "msg", v: "2" }, randomBytes(200)),
  (from, nth) => message({ from, id: `H${nth}` }, { type: "pkmsg", v: "2" }, randomBytes(500)),
  (from, nth) => message({ from, id: `H${nth}` }, { type: "msmsg", v: "9" }, randomBytes(20)),
  (from, nth) => message({ from, id: `H${nth}` }, { type: "" }, Buffer.alloc(0)),
  (from, nth) =>
    message(
      { from: "1@g.us", participant: from, id: `H${nth}` },
      { type: "skmsg", v: "2" },
      randomBytes(90),
    ),
  (from, nth) =>
    message(
      { from, id: `H${nth}`, t: "-9999999999999999", notify: "\0" },
      { type: "msg", v: "2" },
      randomBytes(9),
    ),
  (_from, nth) => message({ from: "@@", id: `H${nth}` }, { type: "msg", v: "2" }, randomBytes(9)),
  (from, nth) => ({ tag: "message", attrs: { from, id: `H${nth}`, t: "1" }, content: [] }),
  (from, nth) => ({
    tag: "message",
    attrs: { from, id: `H${nth}`, t: "1" },
    content: randomBytes(10),
  }),
  (from, nth) => ({
    tag: "receipt",
    attrs: { from, id: `H${nth}`, type: "retry", t: "1" },
    content: [{ tag: "retry", attrs: { count: "x", id: `H${nth}`, t: "1", v: "1" } }],
  }),
  (from, nth) => ({
    tag: "receipt",
    attrs: { from, id: "x".repeat(9_000), type: "read", t: `${nth}` },
  }),
  (from, nth) => ({
    tag: "notification",
    attrs: { from, id: `H${nth}`, type: "encrypt", t: "1" },
    content: [{ tag: "count", attrs: { value: "-1" } }],
  }),
  (from, nth) => ({
    tag: "notification",
    attrs: { from, id: `H${nth}`, type: "mex", t: "1" },
    content: [{ tag: "update", attrs: {}, content: Buffer.from("{") }],
  }),
];

function message(
  attrs: Record<string, string>,
  enc: Record<string, string>,
  bytes: Buffer,
): Stanza {
  return {
    tag: "message",
    attrs: { t: "1790000000", type: "text", ...attrs },
    content: [{ tag: "enc", attrs: enc, content: bytes }],
  };
}

/** The most memory the worker ever had, MB. */
async function peakMb(): Promise<number> {
  const status = await readFile(`/proc/${String(room.worker.pid)}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1_024;
}

it(`${MESSAGES} messages and as many frames that make no sense, beside a number that goes on`, async (t) => {
  const [one, neighbour] = [await linked(room), await linked(room)];
  const { server } = room.simulator;
  const people = NAMES.map((name) => ({ name, ...contact(room, name) }));
  const mallory = contact(room, "Mallory");
  const lid = `${server.account(mallory.phone).lid}@lid`;
  const hello = await mallory.messages.sendText(one.phone, "hello");
  await toldOf(room, one, "message.received", hello.id);
  await room.changeNumber(one.number, { desiredState: "disconnected" });
  await until(async () => (await room.status(one.number)).number.status === "disconnected", {
    label: "away",
  });
  const [device] = server.account(one.phone).devices.values();
  assert.ok(device);
  const sent = new Map<string, string[]>(NAMES.map((name) => [name, []]));
  sent.set("Mallory", [hello.id]);
  for (let nth = 0; nth < MESSAGES; nth += 1) {
    const person = people[nth % people.length];
    assert.ok(person);
    const { id } = await person.messages.sendText(one.phone, `${person.name} ${nth}`);
    sent.get(person.name)?.push(id);
    const hostile = HOSTILE[nth % HOSTILE.length];
    if (hostile) device.push(hostile(lid, nth));
  }
  const beforeMb = await peakMb();
  const begun = performance.now();
  await room.changeNumber(one.number, { desiredState: "connected" });
  const meanwhile = contact(room, "Meanwhile");
  const { id } = await meanwhile.messages.sendText(neighbour.phone, "is anybody there?");
  await toldOf(room, neighbour, "message.received", id);
  const neighbourMs = performance.now() - begun;
  const answer = await enqueue(room, neighbour, { phone: meanwhile.phone });
  await untilSend(room, neighbour, answer, "message.delivered", 20_000);
  const count = (told: readonly Told[]): number =>
    told.filter(({ type }) => type === "message.received").length;
  await until(async () => count(await toldOfMessages(room, one)) > MESSAGES, {
    label: "all told",
    deadlineMs: 60_000,
    intervalMs: 500,
  });
  const ms = performance.now() - begun;
  const told = await toldOfMessages(room, one);
  assertAllOnce(
    told.filter(({ type }) => type === "message.received"),
    sent,
  );
  const afterMb = await peakMb();
  const waiting = told.filter(({ type }) => type === "message.waiting").length;
  t.diagnostic(
    `${told.length} told, ${waiting} waiting; peak ${beforeMb.toFixed(0)} → ${afterMb.toFixed(0)} MB; after ${ms.toFixed(0)} ms, the neighbour after ${neighbourMs.toFixed(0)} ms`,
  );
  assert.ok(afterMb - beforeMb < 300, `${afterMb - beforeMb} MB`);
  assert.equal(room.worker.exitCode, null);
  const last = await people[0]?.messages.sendText(one.phone, "and now");
  await toldOf(room, one, "message.received", last?.id ?? "");
});

/** Two notifiers over the same queues: shared without doubles, and killed while endpoints fail, hang and are slow. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { after, afterEach, before, test } from "node:test";
import { newChatId } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import {
  addCompany,
  type Call,
  deliveriesOf,
  kill,
  openRoom,
  type Process,
  type Room,
  spawnNotifier,
  startEndpoint,
  subscribe,
  write,
  type Written,
} from "./room.ts";

const KILLS = 4;
const CHATS = 12;
const ROUND = 25;

let room: Room;
const running: Process[] = [];
before(async () => {
  room = await openRoom({ WEBHOOK_TIMEOUT_MS: "400" }, { isBare: true });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map(kill));
});
after(() => room[Symbol.asyncDispose]());

/** A small generator of numbers, so that a run can be had again. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

const idOf = ({ headers }: Call): string => String(headers["webhook-id"]);
const isLate = ({ headers }: Call): boolean => headers["manyline-late"] === "true";

/** Messages of all chats, `count` of them, each chat's in order. */
function messagesOf(chats: Map<string, number>, count: number, random: () => number) {
  const names = [...chats.keys()];
  return Array.from({ length: count }, () => {
    const chat = names[Math.floor(random() * names.length)] ?? "";
    const seq = (chats.get(chat) ?? 0) + 1;
    chats.set(chat, seq);
    return { chat, seq };
  });
}

/** Of what was taken in its turn, each chat's events come in the order of `seq`. */
function assertOrder(taken: readonly Call[], written: readonly Written[]): void {
  const byId = new Map(written.map((one) => [one.id, one]));
  const last = new Map<string, number>();
  const seen = new Set<string>();
  for (const call of taken) {
    const one = byId.get(idOf(call));
    if (!one || seen.has(one.id)) continue;
    seen.add(one.id);
    if (isLate(call)) continue;
    assert.ok(
      one.seq > (last.get(one.chat) ?? 0),
      `${one.chat}: ${one.seq} after ${last.get(one.chat)}`,
    );
    last.set(one.chat, one.seq);
  }
}

test("two notifiers share the work: each event once, in the order of its chat", async () => {
  running.push(await spawnNotifier(room), await spawnNotifier(room));
  await using endpoint = await startEndpoint();
  const company = await addCompany(room);
  const key = await subscribe(room, company, endpoint.url, ["message.*"]);
  const chats = new Map(Array.from({ length: CHATS }, () => [newChatId() as string, 0]));
  const random = numbers(3);
  const written: Written[] = [];
  for (let round = 0; round < 5; round += 1) {
    // Neighbours change places on the way, as if two processes had published them.
    const swap = <T>(list: readonly T[]): T[] =>
      list.flatMap((one, at) => {
        const next = list[at + 1];
        if (at % 2 === 1) return [];
        return next === undefined ? [one] : [next, one];
      });
    written.push(...(await write(room, company, messagesOf(chats, ROUND, random), swap)));
  }
  await until(() => endpoint.calls.length >= written.length, { deadlineMs: 30_000, label: "all" });
  await until(
    async () => (await deliveriesOf(room, key)).every(({ state }) => state === "delivered"),
    { label: "settled" },
  );
  assert.equal(endpoint.calls.length, written.length, "none twice");
  assertOrder(endpoint.calls, written);
  const readers = await Promise.all(
    running.map(async ({ url }) => {
      const text = await (await fetch(`${url}/metrics`)).text();
      return /^webhook_intake(\{[^}\n]*\})? 1$/m.test(text);
    }),
  );
  assert.equal(readers.filter(Boolean).length, 1, "one reads the stream");
  for (const { output } of running) {
    for (const secret of ["said in confidence", "whsec_", "Bearer customer", "/in"]) {
      assert.ok(!output().includes(secret), secret);
    }
  }
});

test(`killed ${KILLS} times while endpoints fail, hang and are slow: none lost, the order kept`, async () => {
  const random = numbers(7);
  const taken = new Map<string, Call[]>();
  const ok = (name: string) => (response: ServerResponse, call: Call) => {
    taken.set(name, [...(taken.get(name) ?? []), call]);
    response.end();
  };
  let isWell = false;
  let hung = 0;
  await using slow = await startEndpoint((response, call) => {
    setTimeout(() => ok("slow")(response, call), random() * 60);
  });
  await using moody = await startEndpoint((response, call) => {
    const mood = isWell ? 1 : random();
    if (mood < 0.15) response.writeHead(503).end();
    else if (mood < 0.2) response.socket?.destroy();
    else if (mood < 0.25) hung += 1;
    else ok("moody")(response, call);
  });
  await using dead = await startEndpoint((response, call) => {
    if (isWell) ok("dead")(response, call);
  });
  const company = await addCompany(room);
  const keys = [
    await subscribe(room, company, slow.url),
    await subscribe(room, company, moody.url, ["message.*"]),
    await subscribe(room, company, dead.url, ["message.received"]),
  ];
  const chats = new Map(Array.from({ length: CHATS }, () => [newChatId() as string, 0]));
  const written: Written[] = [];
  running.push(await spawnNotifier(room), await spawnNotifier(room));
  for (let round = 0; round < KILLS; round += 1) {
    written.push(...(await write(room, company, messagesOf(chats, ROUND, random))));
    const had = slow.calls.length;
    await until(() => slow.calls.length >= had + 5, { deadlineMs: 40_000, label: "under way" });
    const [victim] = running.splice(0, 1);
    if (victim) await kill(victim);
    running.push(await spawnNotifier(room));
  }
  await Promise.all(running.splice(0).map(kill));
  isWell = true;
  await asSuperuser(
    room.database,
    "update deliveries set due_at = now() where state = 'waiting' and due_at > now()",
  );
  await asSuperuser(room.database, "update webhook_subscriptions set next_try_at = null");
  running.push(await spawnNotifier(room), await spawnNotifier(room));
  assert.ok(hung > 0 && moody.calls.length > hung, "it was as bad as it should be");
  for (const [name, key] of [
    ["slow", keys[0]],
    ["moody", keys[1]],
    ["dead", keys[2]],
  ] as const) {
    assert.ok(key);
    await until(
      async () => {
        const rows = await deliveriesOf(room, key);
        return rows.length === written.length && rows.every(({ state }) => state === "delivered");
      },
      { deadlineMs: 60_000, label: name },
    );
    const calls = taken.get(name) ?? [];
    assert.deepEqual(new Set(calls.map(idOf)), new Set(written.map(({ id }) => id)), name);
    assertOrder(calls, written);
    // What was taken and not noted: at most what a killed notifier had under way.
    const doubles = calls.length - written.length;
    assert.ok(doubles <= (KILLS + 2) * 8, `${name}: ${doubles} doubles`);
  }
});

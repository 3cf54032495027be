/** What many numbers write at the same moment is written together, and fails apart. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type MessageData, messageReceived } from "@manyline/contracts";
import {
  commitInbounds,
  FencedError,
  noteAllStatuses,
  readKeys,
  writeAuths,
  type Status,
} from "../src/index.ts";
import {
  AT,
  dataOf,
  entry,
  hashOf,
  openLine,
  sendingIn,
  sent,
  sisterLine,
  storedMessages,
  stranger,
  textFrom,
  types,
  type Line,
} from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const key = (value: string, name = "one") => ({
  kind: "session",
  key: name,
  value: Buffer.from(value),
});

async function journal({ source }: Line): Promise<{ hash: Buffer; isDone: boolean }[]> {
  const { rows } = await world.superuser.query<{ hash: Buffer; isDone: boolean }>(
    `select hash, done_at is not null as "isDone" from inbound_journal where number_no = $1`,
    [source.fence.numberNo],
  );
  return rows;
}

async function session({ source }: Line): Promise<string | undefined> {
  const { worker, test: database } = world;
  const found = await readKeys(worker, database.keyring, source.fence, "session", ["one"]);
  return found.get("one")?.toString();
}

test("keys of many numbers: a fence that is lost and a write that is refused leave the others alone", async () => {
  const [one, fenced, refused] = [
    await openLine(world),
    await openLine(world),
    await openLine(world),
  ];
  const sister = await sisterLine(world, one);
  const stale = { ...fenced.source.fence, epoch: fenced.source.fence.epoch - 1 };
  const outcomes = await writeAuths(world.worker, world.test.keyring, [
    { fence: sister.source.fence, write: { keys: [key("sister")], journal: [entry("sister")] } },
    { fence: stale, write: { keys: [key("stale")], journal: [entry("stale")] } },
    // Postgres stores no zero byte.
    { fence: refused.source.fence, write: { keys: [key("refused", "o\0ne"), key("half")] } },
    { fence: one.source.fence, write: { keys: [key("first")], journal: [entry("one")] } },
    { fence: one.source.fence, write: { keys: [key("second")] } },
  ]);
  assert.deepEqual([outcomes[0], outcomes[3], outcomes[4]], [true, true, true]);
  assert.ok(outcomes[1] instanceof FencedError);
  assert.ok(outcomes[2] instanceof Error && !(outcomes[2] instanceof FencedError));
  assert.deepEqual(
    [await session(sister), await session(fenced), await session(refused), await session(one)],
    ["sister", undefined, undefined, "second"],
  );
  assert.deepEqual(await journal(one), [{ hash: hashOf("one"), isDone: false }]);
  assert.deepEqual(await journal(sister), [{ hash: hashOf("sister"), isDone: false }]);
  assert.deepEqual(await journal(fenced), []);
});

test("messages of many numbers: each its own, in its own chats; what fails, fails alone", async () => {
  const [one, fenced, bent] = [await openLine(world), await openLine(world), await openLine(world)];
  const sister = await sisterLine(world, one);
  const other = await openLine(world);
  const stale = { ...fenced.source.fence, epoch: fenced.source.fence.epoch - 1 };
  const anna = stranger();
  await writeAuths(
    world.worker,
    world.test.keyring,
    [one, sister].map(({ source: { fence } }) => ({ fence, write: { journal: [entry("a")] } })),
  );
  const commits = [
    { source: other.source, items: [textFrom(anna, { text: "to other" })] },
    { source: { ...fenced.source, fence: stale }, items: [textFrom(anna)] },
    {
      source: sister.source,
      items: [textFrom(anna, { text: "to sister", journal: [hashOf("a")] })],
    },
    { source: one.source, items: [textFrom(anna, { text: "to one", journal: [hashOf("a")] })] },
    { source: one.source, items: [] },
  ];
  const told = await commitInbounds(world.worker, world.test.keyring, commits);
  assert.ok(told[1] instanceof FencedError);
  const received = [0, 2, 3].map((place) => {
    const result = told[place];
    assert.ok(result && !(result instanceof Error));
    return dataOf(result.events, messageReceived);
  });
  assert.deepEqual(
    received.map(({ text }) => text),
    ["to other", "to sister", "to one"],
  );
  // One person per company, one chat per number.
  assert.equal(received[1]?.from.contactId, received[2]?.from.contactId);
  assert.notEqual(received[0]?.from.contactId, received[1]?.from.contactId);
  assert.equal(new Set(received.map(({ chat }) => chat.id)).size, 3);
  assert.deepEqual(told[4], { events: [], repeated: 0, files: [] });
  for (const line of [one, sister, other])
    assert.equal((await storedMessages(world, line)).length, 1);
  assert.equal((await storedMessages(world, fenced)).length, 0);
  for (const line of [one, sister])
    assert.deepEqual(await journal(line), [{ hash: hashOf("a"), isDone: true }]);

  const again = await commitInbounds(world.worker, world.test.keyring, [
    ...commits.slice(2, 4),
    // Nothing is known of the sender: the batch is refused before it reaches the database.
    { source: bent.source, items: [textFrom({})] },
    { source: other.source, items: [textFrom(anna, { text: "and again" })] },
  ]);
  assert.deepEqual(again.slice(0, 2), [
    { events: [], repeated: 1, files: [] },
    { events: [], repeated: 1, files: [] },
  ]);
  assert.ok(again[2] instanceof TypeError);
  assert.ok(again[3] && !(again[3] instanceof Error));
  assert.equal(dataOf(again[3].events, messageReceived).text, "and again");
});

test("people of many numbers in one commit: known, new, merged, named alike in two companies; groups; files", async () => {
  const [one, other] = [await openLine(world), await openLine(world)];
  const sister = await sisterLine(world, one);
  const [anna, ben, carl] = [stranger({ name: "Anna" }), stranger(), stranger()];
  const group = { type: "group", providerChatId: "123@g.us", name: "Regulars" } as const;
  const file = { mimeType: "image/png", bytes: 3, sha256: null, fileName: null };
  // Ben is two people to the first company so far: a phone at one number, a LID at the other.
  await one.commit(textFrom({ phone: ben.phone }));
  await sister.commit(textFrom({ lid: ben.lid }));
  await other.commit(textFrom(ben));

  const commits = [
    { source: sister.source, items: [textFrom(ben), textFrom(carl), textFrom(anna)] },
    {
      source: other.source,
      items: [
        textFrom(carl),
        textFrom(ben, { chat: group, media: { ...file, source: Buffer.from("other") } }),
        textFrom(anna, { chat: group }),
      ],
    },
    {
      source: one.source,
      items: [
        textFrom(anna, { chat: group, media: { ...file, source: Buffer.from("one") } }),
        textFrom(carl),
        { ...textFrom(ben), text: "merged" },
      ],
    },
  ];
  const told = (await commitInbounds(world.worker, world.test.keyring, commits)).map((result) => {
    assert.ok(!(result instanceof Error));
    return result.events;
  });
  const received = told.map((events) =>
    events.flatMap(({ type, envelope }) =>
      type === messageReceived.type ? [envelope.data as MessageData] : [],
    ),
  );
  assert.deepEqual(
    received.map((all) =>
      all.map(({ from, chat }) => [from.phone, from.lid, from.name, chat.type]),
    ),
    commits.map(({ items }) =>
      items.map(({ from, chat }) => [from?.phone, from?.lid, from?.name ?? null, chat.type]),
    ),
  );
  // Whoever is new is told once per company, whoever was merged once, by the first number in the order of the keys.
  const count = (type: string) =>
    told.map((events) => types(events).filter((name) => name === type).length);
  const merged = count("contact.merged");
  assert.equal((merged[0] ?? 0) + (merged[2] ?? 0), 1);
  assert.equal(merged[1], 0);
  const [created0 = 0, created1 = 0, created2 = 0] = count("contact.created");
  assert.deepEqual([created0 + created2, created1], [2, 2]);
  const ids = received.map((all) => all.map(({ from }) => from.contactId));
  assert.deepEqual(ids[0]?.toReversed(), [ids[2]?.[0], ids[2]?.[1], ids[2]?.[2]]);
  assert.equal(new Set([...(ids[1] ?? []), ...(ids[2] ?? [])]).size, 6);
  // A chat is a number's own; the two of the group have one.
  const chats = received.map((all) => all.map(({ chat }) => chat.id));
  assert.equal(new Set(chats.flat()).size, 8);
  assert.equal(chats[1]?.[1], chats[1]?.[2]);
  assert.deepEqual(
    told[1]?.flatMap(({ type, envelope }) => (type === messageReceived.type ? [envelope.seq] : [])),
    [1, 1, 2],
  );
  for (const [place, line] of [one, other].entries()) {
    const { rows } = await world.superuser.query<{ id: string; message: string }>(
      "select media_id as id, message_id as message from media where number_no = $1",
      [line.source.fence.numberNo],
    );
    const data = received[place === 0 ? 2 : 1]?.find(({ media }) => media !== null);
    assert.deepEqual(rows, [{ id: data?.media?.id, message: data?.messageId }]);
  }
  const again = await commitInbounds(world.worker, world.test.keyring, commits);
  assert.deepEqual(
    again,
    commits.map(() => ({ events: [], repeated: 3, files: [] })),
  );
});

test("what becomes of messages of many numbers: each its own events, and the next of each chat has its turn", async () => {
  const { enqueue, claim } = sendingIn(() => world);
  const [one, fenced, refused] = [
    await openLine(world),
    await openLine(world),
    await openLine(world),
  ];
  const sister = await sisterLine(world, one);
  const queued = new Map<Line, string[]>();
  for (const line of [one, fenced, refused, sister]) {
    queued.set(line, [(await enqueue(line)).messageId, (await enqueue(line)).messageId]);
    await claim(line);
  }
  const first = (line: Line): string => queued.get(line)?.[0] ?? "";
  const stale = { ...fenced.source.fence, epoch: fenced.source.fence.epoch - 1 };
  const batches = [
    { source: sister.source, statuses: [sent(first(sister))] },
    { source: { ...fenced.source, fence: stale }, statuses: [sent(first(fenced))] },
    {
      source: one.source,
      statuses: [sent(first(one)), { messageId: first(one), state: "delivered", at: AT } as Status],
    },
    // Postgres stores no zero byte.
    { source: refused.source, statuses: [{ ...sent(first(refused)), messageId: "m\0" }] },
    { source: refused.source, statuses: [] },
  ];
  const told = await noteAllStatuses(world.worker, batches);
  const kinds = told.map((events) => (events instanceof Error ? events : types(events)));
  assert.deepEqual(kinds[0], ["message.sent"]);
  assert.ok(kinds[1] instanceof FencedError);
  assert.deepEqual(kinds[2], ["message.sent", "message.delivered"]);
  assert.ok(kinds[3] instanceof Error && !(kinds[3] instanceof FencedError));
  assert.deepEqual(kinds[4], []);
  const numbersOf = (events: (typeof told)[number] | undefined) =>
    Array.isArray(events) ? [...new Set(events.map(({ numberNo }) => numberNo))] : [];
  assert.deepEqual(numbersOf(told[0]), [sister.source.fence.numberNo]);
  assert.deepEqual(numbersOf(told[2]), [one.source.fence.numberNo]);
  for (const [line, count] of [
    [one, 1],
    [sister, 1],
    [fenced, 0],
    [refused, 0],
  ] as const) {
    assert.equal((await claim(line)).length, count);
  }
  assert.deepEqual(await noteAllStatuses(world.worker, [batches[0] ?? assert.fail()]), [[]]);
});

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newLinkedMessageId, type Restriction } from "@manyline/contracts";
import {
  claimSends,
  enqueueMessage,
  FencedError,
  fencedTransaction,
  findSent,
  getOwnedNumber,
  noteStatuses,
  recoverSends,
  releaseSends,
  type Send,
  type SendInput,
  setRestriction,
  takeFirstContact,
  withCompany,
} from "../src/index.ts";
import { type Line, openLine, stranger, textFrom } from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

async function enqueue({ source }: Line, more: Partial<SendInput> = {}): Promise<string> {
  const { fence, companyId, numberId, provider, phone } = source;
  const { messageId } = await withCompany(world.app, fence.companyNo, (tx) =>
    enqueueMessage(tx, {
      companyNo: fence.companyNo,
      numberNo: fence.numberNo,
      companyId,
      numberId,
      provider,
      phone,
      service: "gateway",
      to: { phone: stranger().phone },
      type: "text",
      text: "hello",
      providerMessageId: newLinkedMessageId(),
      ...more,
    }),
  );
  return messageId;
}

const claim = ({ source }: Line, room = 10): Promise<Send[]> =>
  claimSends(world.worker, [{ fence: source.fence, room }], 100);
const take = ({ source }: Line, messageId: string, most: number) =>
  takeFirstContact(world.worker, source.fence, messageId, most);

describe("first contacts", () => {
  test("so many a day, each chat once; the one after them has to wait a day", async () => {
    const line = await openLine(world);
    const to = stranger();
    const first = await enqueue(line, { to: { phone: to.phone } });
    const again = await enqueue(line, { to: { phone: to.phone } });
    const second = await enqueue(line);
    const third = await enqueue(line);
    assert.deepEqual(await take(line, first, 0), { isFirst: true, isFree: false, until: null });
    const free = { isFirst: true, isFree: true, until: null };
    assert.deepEqual(await take(line, first, 2), free);
    assert.equal((await take(line, first, 2)).isFirst, false, "taken already");
    assert.equal((await take(line, again, 2)).isFirst, false);
    assert.deepEqual(await take(line, second, 2), free);
    const { isFirst, isFree, until } = await take(line, third, 2);
    assert.deepEqual([isFirst, isFree], [true, false]);
    const inMs = (until?.getTime() ?? 0) - Date.now();
    assert.ok(inMs > 86_340_000 && inMs < 86_460_000, String(inMs));
    assert.equal((await take(line, third, 3)).isFree, true);
  });

  test("who has written, or was written to from the phone, is none; nor is a group", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const bert = stranger();
    await line.commit(textFrom(anna));
    await line.commit(
      textFrom(bert, { event: "echoed", from: null, chat: { type: "direct", person: bert } }),
    );
    for (const to of [{ phone: anna.phone }, { phone: bert.phone }, { groupId: "12036301@g.us" }]) {
      const messageId = await enqueue(line, { to });
      assert.deepEqual(await take(line, messageId, 0), {
        isFirst: false,
        isFree: true,
        until: null,
      });
    }
  });

  test("under a stale fence nothing is taken", async () => {
    const line = await openLine(world);
    const messageId = await enqueue(line);
    const fence = { ...line.source.fence, epoch: line.source.fence.epoch - 1 };
    await assert.rejects(takeFirstContact(world.worker, fence, messageId, 5), FencedError);
  });
});

test("claims whose answer got lost are claimed again; those under way are left alone", async () => {
  const line = await openLine(world);
  const { fence } = line.source;
  const [known, lost] = [await enqueue(line), await enqueue(line)];
  assert.equal((await claim(line)).length, 2);
  assert.deepEqual(await claim(line), []);
  const { numberNo, epoch } = fence;
  const owned = () => getOwnedNumber(world.worker, "w1", numberNo);
  assert.equal((await owned())?.hasLostSends, true);
  assert.equal(await recoverSends(world.worker, [{ ...fence, epoch: epoch - 1 }], []), 0);
  assert.equal(await recoverSends(world.worker, [fence], [known]), 1);
  const again = await claim(line);
  assert.deepEqual(
    again.map(({ messageId, attempts }) => [messageId, attempts]),
    [[lost, 2]],
  );
});

test("a restriction is kept with the number; its end lets go what was held", async () => {
  const line = await openLine(world);
  const { fence } = line.source;
  const restriction: Restriction = {
    code: "new_chats",
    since: "2026-11-21T10:00:00.000Z",
    until: "2026-11-21T11:00:00.000Z",
  };
  const store = (value: Restriction | null) =>
    fencedTransaction(world.worker, fence, (tx) => setRestriction(tx, fence, value));
  await store(restriction);
  const owned = () => getOwnedNumber(world.worker, "w1", fence.numberNo);
  assert.deepEqual((await owned())?.restriction, restriction);
  const messageId = await enqueue(line);
  await claim(line);
  await releaseSends(world.worker, fence, [messageId], new Date(Date.now() + 3_600_000));
  assert.deepEqual(await claim(line), []);
  await store(null);
  assert.equal((await owned())?.restriction, null);
  assert.equal((await claim(line)).length, 1);
});

test("what went out is found by WhatsApp's id, while it is as it was and not too old", async () => {
  const line = await openLine(world);
  const { fence } = line.source;
  const providerMessageId = newLinkedMessageId();
  const anna = stranger();
  const to = { phone: anna.phone };
  const messageId = await enqueue(line, { to, providerMessageId, text: "as it was" });
  const find = (withinMs = 60_000) => findSent(world.worker, fence, providerMessageId, withinMs);
  assert.equal(await find(), undefined, "it waits");
  await claim(line);
  await noteStatuses(world.worker, line.source, [{ messageId, state: "sent", at: new Date() }]);
  assert.equal((await find())?.text, "as it was");
  assert.equal(await find(-60_000), undefined, "too old");
  await line.commit({
    kind: "delete",
    target: providerMessageId,
    providerMessageId: newLinkedMessageId(),
    chat: { type: "direct", person: anna },
    from: null,
    at: new Date(),
  });
  assert.equal(await find(), undefined, "deleted");
});

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { FencedError, commitInbound, findJournal, openJournal, writeAuth } from "../src/index.ts";
import {
  entry,
  hashOf,
  type Line,
  openLine,
  storedMessages,
  stranger,
  textFrom,
} from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

describe("the journal", () => {
  const write = (line: Line, name: string, epoch = line.source.fence.epoch) =>
    writeAuth(
      world.worker,
      world.test.keyring,
      { ...line.source.fence, epoch },
      {
        keys: [{ kind: "session", key: "a.0", value: Buffer.from(`ratchet ${name}`) }],
        journal: [entry(name)],
      },
    );
  const known = (line: Line, name: string) =>
    findJournal(world.worker, world.test.keyring, line.source.fence, [hashOf(name)]);
  const openAll = (line: Line, limit = 10) =>
    openJournal(world.worker, world.test.keyring, line.source.fence, limit);
  const open = async (line: Line, limit?: number) => (await openAll(line, limit)).entries;
  const ratchet = async (line: Line) => {
    const { rowCount } = await world.superuser.query("select from auth_keys where number_no = $1", [
      line.source.fence.numberNo,
    ]);
    return rowCount;
  };

  test("is written with the ratchet, and fenced out with it", async () => {
    const line = await openLine(world);
    await assert.rejects(write(line, "stale", line.source.fence.epoch - 1), FencedError);
    assert.equal((await known(line, "stale")).size, 0);
    assert.equal(await ratchet(line), 0);
    await write(line, "one");
    const found = (await known(line, "one")).get(hashOf("one").toString("hex"));
    assert.equal(found?.content?.plaintext.toString(), "plain one");
    assert.deepEqual(found?.content?.attrs, { id: "one", from: "1@lid" });
    assert.equal(await ratchet(line), 1);
    const { rows } = await world.superuser.query<{ value: Buffer }>(
      "select value from inbound_journal",
    );
    for (const { value } of rows) assert.equal(value?.includes("plain") ?? false, false);
    const stale = { ...line.source.fence, epoch: line.source.fence.epoch - 1 };
    const { keyring } = world.test;
    await assert.rejects(findJournal(world.worker, keyring, stale, [hashOf("one")]), FencedError);
    await assert.rejects(openJournal(world.worker, keyring, stale, 1), FencedError);
  });

  test("is replayed in order, and done with the commit, which erases the plaintext", async () => {
    const line = await openLine(world);
    assert.deepEqual(await open(line), []);
    for (const name of ["b", "a", "c"]) await write(line, name);
    assert.deepEqual(
      (await open(line)).map(({ attrs }) => attrs["id"]),
      ["b", "a", "c"],
    );
    assert.equal((await open(line, 2)).length, 2);
    await line.commit(textFrom(stranger(), { journal: [hashOf("a")] }), {
      kind: "nothing",
      journal: [hashOf("b")],
    });
    assert.deepEqual(
      (await open(line)).map(({ attrs }) => attrs["id"]),
      ["c"],
    );
    const done = await known(line, "a");
    assert.deepEqual([done.size, done.get(hashOf("a").toString("hex"))?.content], [1, undefined]);
    // The same ciphertext once more, by a decryption that should not have been: it stays done.
    await write(line, "a");
    assert.equal((await open(line)).length, 1);
  });

  test("one entry that cannot be read holds up no other, and is not decrypted again", async () => {
    const line = await openLine(world);
    for (const name of ["x", "y", "z"]) await write(line, name);
    await world.superuser.query(
      "update inbound_journal set value = set_byte(value, length(value) - 1, (get_byte(value, length(value) - 1) + 1) % 256) where hash = $1",
      [hashOf("y")],
    );
    const { entries, unreadable } = await openAll(line);
    assert.deepEqual(
      entries.map(({ attrs }) => attrs["id"]),
      ["x", "z"],
    );
    assert.deepEqual(
      unreadable.map(({ hash }) => hash),
      [hashOf("y")],
    );
    const found = await known(line, "y");
    assert.deepEqual([found.size, found.get(hashOf("y").toString("hex"))?.content], [1, undefined]);
  });

  test("a stale owner's commit changes nothing, and the next owner's replay tells it once", async () => {
    const line = await openLine(world);
    await write(line, "one");
    const item = textFrom(stranger(), { journal: [hashOf("one")] });
    const { fence } = line.source;
    await world.superuser.query("update number_fence set epoch = epoch + 1 where number_no = $1", [
      fence.numberNo,
    ]);
    await assert.rejects(line.commit(item), FencedError);
    assert.equal((await storedMessages(world, line)).length, 0);
    const next = { ...line.source, fence: { ...fence, epoch: fence.epoch + 1 } };
    const commit = () => commitInbound(world.worker, world.test.keyring, next, [item]);
    assert.equal((await commit()).events.length, 2);
    assert.deepEqual(await commit(), { events: [], repeated: 1, files: [] });
  });
});

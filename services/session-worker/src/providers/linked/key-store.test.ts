import assert from "node:assert/strict";
import { it } from "node:test";
import type { AuthWrite, JournalEntry, PreloadedAuth } from "@manyline/db";
import type { SignalDataSet } from "@whiskeysockets/baileys";
import type { AuthStore } from "./auth-store.ts";
import { createKeyCache } from "./key-cache.ts";
import { openKeyStore } from "./key-store.ts";
import { JOURNAL_KIND } from "./signal-repository.ts";

const FENCE = { companyNo: 1, numberNo: 2, epoch: 3 };
const NOTHING: PreloadedAuth = { fence: FENCE, creds: undefined, answer: () => undefined };
const PART = { attrs: { from: "1@lid", id: "A" }, enc: { type: "msg" }, isOwn: false };

/** The database below, whose answers can be held up. */
function open() {
  const rows = new Map<string, Buffer>();
  const log: string[] = [];
  const writes: AuthWrite[] = [];
  const journaled: JournalEntry[] = [];
  let isAnswerLost = false;
  let gate: Promise<void> = Promise.resolve();
  let failure: Error | undefined;
  const store: AuthStore = {
    cache: createKeyCache(),
    load: async () => NOTHING,
    find: async (_fence, hash) => {
      const all = writes.flatMap(({ journal = [] }) => journal);
      const content = all.find((entry) => entry.hash.equals(hash));
      return content && { content };
    },
    pollOptions: async () => undefined,
    creds: async () => undefined,
    read: async (_fence, kind, keys) => {
      log.push(`read ${kind} ${keys.join()}`);
      if (failure) throw failure;
      const found = keys.flatMap((key) => {
        const value = rows.get(`${kind}/${key}`);
        return value ? [[key, value] as const] : [];
      });
      await gate;
      return new Map(found);
    },
    write: async (_fence, write) => {
      if (failure) throw failure;
      writes.push(write);
      for (const { kind, key, value } of write.keys ?? []) {
        if (value) rows.set(`${kind}/${key}`, value);
      }
      if (isAnswerLost) throw new Error("no answer");
    },
  };
  const login = () =>
    openKeyStore(store, NOTHING, {
      packCreds: () => Buffer.from("creds"),
      onRefused: (error) => log.push(`refused: ${String(error)}`),
      onJournaled: (entries) => {
        log.push(`journaled ${entries.length}`);
        journaled.push(...entries);
      },
    });
  return {
    log,
    writes,
    journaled,
    login,
    ...login(),
    loseAnswers: (isLost: boolean) => {
      isAnswerLost = isLost;
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    fail: () => {
      failure = new Error("the database is away");
    },
  };
}

it("asks once for what is and for what is not stored, and knows what it wrote", async () => {
  const { keys, log } = open();
  await keys.set({ "lid-mapping": { a: "1" } });
  for (let turn = 0; turn < 2; turn += 1) {
    assert.deepEqual(await keys.get("lid-mapping", ["a"]), { a: "1" });
    assert.deepEqual(await keys.get("lid-mapping", ["b"]), {});
  }
  await keys.set({ "lid-mapping": { b: "2" } });
  assert.deepEqual(await keys.get("lid-mapping", ["a", "b"]), { a: "1", b: "2" });
  assert.deepEqual(log, ["read lid-mapping b"]);
});

it("does not keep what was read while it was being written", async () => {
  const { keys, hold } = open();
  const go = hold();
  const older = keys.get("lid-mapping", ["a"]);
  await keys.set({ "lid-mapping": { a: "new" } });
  go();
  assert.deepEqual(await older, {});
  assert.deepEqual(await keys.get("lid-mapping", ["a"]), { a: "new" });
});

it("writes what was decrypted with the keys, and tells of it afterwards", async () => {
  const { keys, writes, log } = open();
  const value = { hash: Buffer.alloc(32), part: PART, plaintext: Buffer.from("hello") };
  await keys.set({
    "lid-mapping": { a: "1" },
    [JOURNAL_KIND]: { x: value },
  } as unknown as SignalDataSet);
  assert.equal(writes.length, 1);
  assert.deepEqual(
    writes[0]?.keys?.map(({ kind, key }) => `${kind}/${key}`),
    ["lid-mapping/a"],
  );
  const attrs = { from: "1@lid", id: "A", "enc.type": "msg" };
  const entry = { hash: value.hash, attrs, plaintext: value.plaintext };
  assert.deepEqual(writes[0]?.journal, [entry]);
  assert.deepEqual(log, ["journaled 1"]);
});

it("tells of what a write stored whose answer was lost, when it is delivered again", async () => {
  const { keys, journaled, login, loseAnswers } = open();
  const value = { hash: Buffer.alloc(32, 7), part: PART, plaintext: Buffer.from("hello") };
  loseAnswers(true);
  const set = keys.set({ [JOURNAL_KIND]: { x: value } } as unknown as SignalDataSet);
  await assert.rejects(Promise.resolve(set), /no answer/);
  assert.equal(journaled.length, 0);

  loseAnswers(false);
  const { journal } = login();
  assert.deepEqual(await journal.find(value.hash), value.plaintext);
  const attrs = { from: "1@lid", id: "A", "enc.type": "msg" };
  assert.deepEqual(journaled, [{ hash: value.hash, attrs, plaintext: value.plaintext }]);
});

it("is over with the first failure, which its owner hears of first", async () => {
  for (const use of ["get", "set"] as const) {
    const { keys, journal, log, fail } = open();
    fail();
    const failing =
      use === "get" ? keys.get("session", ["a"]) : keys.set({ "lid-mapping": { a: "1" } });
    await assert.rejects(Promise.resolve(failing), /away/);
    assert.equal(journal.isOver(), true);
    await assert.rejects(journal.find(Buffer.alloc(32)), /over/);
    assert.equal(log.filter((line) => line.startsWith("refused")).length, 1);
  }
});

it("neither asks for nor stores a key whose name Postgres would refuse", async () => {
  const { keys, log, writes } = open();
  const [bad, long] = ["1\0@g.us", "1".repeat(3_000)];
  const found = await keys.get("sender-key", [bad, long]);
  assert.deepEqual(Object.keys(found), []);
  const value = Buffer.from("key");
  await keys.set({ "sender-key": { [bad]: value, [long]: value, good: value } });
  assert.deepEqual(
    writes.flatMap((write) => (write.keys ?? []).map(({ key }) => key)),
    ["good"],
  );
  assert.deepEqual(log, []);
});

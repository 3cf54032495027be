import assert from "node:assert/strict";
import { test } from "node:test";
import { ConnectionRecord } from "./record.ts";

const device = { phone: "491700000001", deviceId: 1 };

test("a login is listed with its end, and is no longer open", () => {
  const record = new ConnectionRecord();
  const login = record.open({ ...device, connectionId: 1, label: "a" });
  assert.equal(login.count("iq w:p"), false);
  assert.equal(record.summary().open, 1);
  record.close(login, "client");
  const [facts] = record.list();
  assert.deepEqual([facts?.label, facts?.closedBy, facts?.stanzas], ["a", "client", 1]);
  assert.ok(Number(facts?.closedAt) >= Number(facts?.openedAt));
  assert.deepEqual(record.summary(), { open: 0, logins: 1, overlaps: [], lateStanzas: 0 });
});

test("a newer login of the same device makes what the older one sends late", () => {
  const record = new ConnectionRecord();
  const old = record.open({ ...device, connectionId: 1, label: "a" });
  const other = record.open({ ...device, phone: "491700000002", connectionId: 2, label: null });
  const newer = record.open({ ...device, connectionId: 3, label: "b" });
  assert.equal(old.count("message"), true);
  assert.equal(newer.count("iq"), false);
  assert.equal(other.count("iq"), false);
  record.close(old, "replaced");
  const { open, overlaps, lateStanzas } = record.summary();
  assert.deepEqual([open, lateStanzas, overlaps.length], [2, 1, 1]);
  const [overlap] = overlaps;
  assert.deepEqual(
    [overlap?.older.label, overlap?.newer.label, overlap?.late],
    ["a", "b", ["message"]],
  );
  assert.equal(overlap?.ms, Number(old.facts.closedAt) - newer.facts.openedAt);
  assert.deepEqual(record.summary({ since: Date.now() + 1 }).overlaps, []);
});

test("one after the other is no overlap", () => {
  const record = new ConnectionRecord();
  record.close(record.open({ ...device, connectionId: 1, label: null }), "client");
  record.open({ ...device, connectionId: 2, label: null });
  assert.deepEqual(record.summary().overlaps, []);
});

test("since: what was open then or later; phone: only that one", () => {
  const record = new ConnectionRecord();
  const old = record.open({ ...device, connectionId: 1, label: null });
  record.close(old, "client");
  old.facts.closedAt = 100;
  record.open({ ...device, connectionId: 2, label: null });
  assert.deepEqual(
    record.list({ since: 101 }).map((each) => each.connectionId),
    [2],
  );
  assert.equal(record.list({ since: 100 }).length, 2);
  assert.equal(record.list({ phone: "491700000009" }).length, 0);
});

test("the oldest are forgotten, the counts are not", () => {
  const record = new ConnectionRecord(10);
  for (let id = 1; id <= 40; id++) {
    record.close(record.open({ ...device, connectionId: id, label: null }), "client");
  }
  const ids = record.list().map((each) => each.connectionId);
  assert.ok(ids.length >= 10 && ids.length <= 12);
  assert.equal(ids.at(-1), 40);
  assert.equal(record.summary().logins, 40);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, duration, facts, table } from "./table.ts";

test("columns are as wide as their widest cell, numbers stand to the right", () => {
  const rows = [
    { name: "Салон", count: 5 },
    { name: "B", count: 1_200 },
  ];
  const columns = [
    { title: "NAME", cell: (row: (typeof rows)[number]) => row.name },
    { title: "COUNT", isRight: true, cell: (row: (typeof rows)[number]) => row.count },
    { title: "NOTE", cell: () => null },
  ];
  assert.deepEqual(table(rows, columns, "none"), [
    "NAME   COUNT  NOTE",
    "Салон      5  -",
    "B       1200  -",
  ]);
  assert.deepEqual(table([], columns, "There is nothing."), ["There is nothing."]);
});

test("facts stand under each other", () => {
  assert.deepEqual(
    facts([
      ["a", 0],
      ["longer", ""],
    ]),
    ["a       0", "longer  -"],
  );
});

test("times are told in one unit", () => {
  const now = new Date("2026-01-01T00:00:00.000Z");
  const cases: [number, string][] = [
    [0, "0s"],
    [119_000, "119s"],
    [120_000, "2m"],
    [7_200_000, "2h"],
    [172_800_000, "2d"],
  ];
  for (const [ms, text] of cases) {
    assert.equal(duration(ms), text);
    assert.equal(ago(new Date(now.getTime() - ms).toISOString(), now), text);
  }
  assert.equal(ago(null, now), "-");
  assert.equal(ago("2026-01-01T00:00:05.000Z", now), "0s", "another clock may be ahead");
});

/** Whatever comes, nothing is thrown, no bytes of a file end up in a text, and what is told has what it takes. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { isObject } from "../meta/json.ts";
import { normaliseWppConnect } from "./connect.ts";
import { wppDedupeKey } from "./dedupe.ts";
import { normaliseWppPlatform } from "./platform.ts";
import { wppLine } from "./table.ts";
import type { WppItem } from "./types.ts";

const folder = new URL("../../fixtures/wpp/", import.meta.url);
const bodies: unknown[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as unknown);
const NOW = new Date("2026-11-21T12:00:00Z");
const FILES = ["/9j/4AAQSkZJRgABAQAAAQABAAD", "T2dnUwACc2FtcGxlLXZvaWNl"];

const ODD: unknown[] = [
  null,
  true,
  0,
  -1,
  1e300,
  "",
  "x",
  "\0",
  "\ud800",
  "9".repeat(400),
  [],
  [null],
  {},
  { id: {} },
  { _serialized: [] },
  { _serialized: "true_@lid_" },
  "__proto__",
  { toString: 1 },
  8.64e15,
];

/** The same numbers at each run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function spoiled(value: unknown, random: () => number, rarity: number): unknown {
  if (random() * rarity < 1) return ODD[Math.floor(random() * ODD.length)];
  if (Array.isArray(value)) return value.map((one) => spoiled(one, random, rarity));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(() => random() * rarity >= 0.5);
  return Object.fromEntries(entries.map(([key, one]) => [key, spoiled(one, random, rarity)]));
}

function assertTellable(item: WppItem): void {
  const { facts, input } = item;
  assert.equal(wppLine(item).split("\t").length, 7);
  assert.ok(wppDedupeKey(item, NOW).startsWith(facts.event));
  assert.equal(facts.session === null, facts.event === "unroutable");
  assert.equal(input === null, facts.event === "unroutable" || facts.event === "ignored");
  if (!input) return;
  assert.ok(!Number.isNaN(input.at.getTime()));
  if (input.kind === "status") assert.ok(input.providerMessageId !== "");
  if (input.kind === "message") {
    const told = JSON.stringify({ ...input, media: null });
    for (const file of FILES) assert.ok(!told.includes(file), told);
  }
}

it("spoiled webhooks of either dialect are read by either normaliser", () => {
  const random = dice(20_261_121);
  for (let round = 0; round < 60; round += 1) {
    for (const body of bodies) {
      const odd = spoiled(body, random, 4 + (round % 20));
      // A file without a word for its kind is the text of a chat message: only the typed ones are looked at.
      const kind = isObject(odd) ? odd["type"] : undefined;
      const isTyped = isObject(body) && isObject(odd) && kind === body["type"];
      const items = [...normaliseWppPlatform(odd, { now: NOW }), normaliseWppConnect(odd, NOW)];
      assert.ok(items.length >= 2);
      for (const item of items) if (isTyped) assertTellable(item);
      for (const item of items) wppLine(item);
    }
  }
});

it("what is kept as it came has nothing in it that cannot be stored, in names of members either", () => {
  const odd = { "a\0\udfff": "\0b\ud800" };
  const message = { from: "79000000001@c.us", id: "3", type: "tomorrow", ...odd };
  for (const items of [
    normaliseWppPlatform({ account: "1", type: "message", data: message }, { now: NOW }),
    [normaliseWppConnect({ event: "onmessage", session: "s", ...message }, NOW)],
  ]) {
    const text = JSON.stringify(items);
    assert.match(text, /"original":.*"a\ufffd":"b\ufffd"/);
    assert.doesNotMatch(text, /\\u(0000|d[89a-f])/);
  }
});

it("what is nested without end is read", () => {
  const deep: unknown = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);
  for (const value of [
    deep,
    { data: deep },
    { account: "1", from: "2", type: "chat", text: deep },
  ]) {
    normaliseWppPlatform(value, { now: NOW });
    normaliseWppConnect(value, NOW);
  }
});

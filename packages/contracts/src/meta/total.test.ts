/** Whatever comes, nothing is thrown, nothing is left out, and what is told can be told. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { eventDefinition } from "../events/catalogue.ts";
import { makeEvent } from "../events/envelope.ts";
import type { CompanyId } from "../ids.ts";
import { isObject } from "./json.ts";
import { normaliseMeta } from "./normalise.ts";
import { metaRows } from "./table.ts";
import type { MetaItem } from "./types.ts";

const folder = new URL("../../fixtures/meta/", import.meta.url);
const bodies: unknown[] = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as unknown);
const NOW = new Date("2026-11-21T12:00:00Z");
const COMPANY = "962302" as CompanyId;

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
  [[]],
  {},
  { id: {} },
  [{ id: [] }],
  "__proto__",
  { toString: 1 },
  "2026-01-01",
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

/** A copy in which about one value in `rarity` is something else. */
function spoiled(value: unknown, random: () => number, rarity: number, odd = ODD): unknown {
  if (random() * rarity < 1) return odd[Math.floor(random() * odd.length)];
  if (Array.isArray(value)) return value.map((one) => spoiled(one, random, rarity, odd));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).filter(() => random() * rarity >= 0.5);
  return Object.fromEntries(entries.map(([key, one]) => [key, spoiled(one, random, rarity, odd)]));
}

/** Every event that the items name can be made of them. */
function assertTellable(items: readonly MetaItem[]): void {
  for (const { input } of items) {
    if (input.kind === "notice") {
      const definition = eventDefinition(input.event);
      assert.ok(definition, input.event);
      makeEvent(
        definition,
        { companyId: COMPANY },
        { ...input.data, person: null },
        {
          service: "test",
          at: NOW,
        },
      );
    } else if (input.kind !== "same_person") {
      assert.ok(input.providerMessageId !== "");
      assert.ok(!Number.isNaN(input.at.getTime()));
    }
  }
}

/** So many changes are there, counting what stands where a change belongs. */
function changesIn(body: unknown): number {
  const list = (value: unknown): unknown[] =>
    Array.isArray(value) ? value : value === null || value === undefined ? [] : [value];
  const entries = list(isObject(body) ? body["entry"] : undefined);
  return entries.reduce<number>((sum, entry) => {
    const changes = list(isObject(entry) ? entry["changes"] : undefined);
    return sum + Math.max(1, changes.length);
  }, 0);
}

it("the fixtures can all be told", () => {
  for (const body of bodies) assertTellable(normaliseMeta(body, NOW).items);
});

it("spoiled webhooks are read to the end: every change is among the items", () => {
  const random = dice(20_261_121);
  for (let round = 0; round < 40; round += 1) {
    for (const body of bodies) {
      const odd = spoiled(body, random, 4 + (round % 20));
      const webhook = normaliseMeta(odd, NOW);
      const places = new Set(webhook.items.map(({ place }) => place.join(".")));
      assert.equal(places.size, changesIn(odd), JSON.stringify(odd));
      assertTellable(webhook.items);
      metaRows(webhook);
    }
  }
});

/** Every text in a value, names of members too. */
function textsIn(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return [...Object.keys(value), ...Object.values(value).flatMap(textsIn)];
}

it("what cannot be stored is in no text and no name, and no text makes an event too large", () => {
  const bad = [
    "\0",
    "a\0\ud800",
    { "a\0\udfff": "\\u0000\0" },
    [{ code: "\ud800".repeat(50_000) }],
  ];
  const huge = Array.from({ length: 60 }, () => ({ code: "\u0001".repeat(3_000) }));
  const odd = [...bad, "x".repeat(300_000), huge];
  const random = dice(20_261_122);
  for (const body of [...bodies, ...bodies]) {
    const { items } = normaliseMeta(spoiled(body, random, 8, odd), NOW);
    assertTellable(items);
    for (const { route, input } of items) {
      const texts = textsIn([route, input.kind === "notice" ? { ...input, key: "" } : input]);
      assert.ok(texts.every((text) => text.isWellFormed() && !text.includes("\0")));
      if (input.kind === "status") assert.ok(JSON.stringify(input.pricing).length < 10_000);
    }
  }
});

it("what is nested without end is told without its details", () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  const bodyOf = (value: string): unknown =>
    JSON.parse(
      `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":${value}}]}]}`,
    );
  for (const value of [
    deep,
    `{"messages":${deep}}`,
    `{"messages":[{"id":"a","from":"15550100019","type":"tomorrow","tomorrow":${deep}}]}`,
    `{"messages":[{"id":"a","from":"15550100019","type":"interactive","interactive":{"type":"nfm_reply","nfm_reply":{"response_json":{"a":${deep}}}}}]}`,
    `{"statuses":[{"id":"a","status":${deep}}],"tomorrow":${deep}}`,
  ]) {
    const { items } = normaliseMeta(bodyOf(value), NOW);
    assert.ok(items.length > 0);
    assertTellable(items);
    for (const { input } of items) JSON.stringify(input);
  }
});

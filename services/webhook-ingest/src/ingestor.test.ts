import assert from "node:assert/strict";
import { test } from "node:test";
import type { MetaItem } from "@manyline/contracts";
import type { IngestWebhook } from "@manyline/db";
import { slices } from "./ingestor.ts";

/** A webhook whose pieces are these, told apart by their field. */
const webhookOf = (fields: string): IngestWebhook => ({
  webhook: {
    isWhatsapp: true,
    oddities: 0,
    items: fields.split("").map((field) => ({ field }) as MetaItem),
  },
  body: fields,
  raw: Buffer.from(fields),
  app: null,
});

test("many pieces are committed in slices, in their order, each with the webhook it is of", () => {
  const cut = (...webhooks: string[]): string[][] =>
    [...slices(webhooks.map(webhookOf), 3)].map((slice) =>
      slice.map(({ body, webhook }) => {
        return `${String(body)}:${webhook.items.map(({ field }) => field).join("")}`;
      }),
    );
  assert.deepEqual(cut("ab", "c", "defghij", "k"), [
    ["ab:ab", "c:c"],
    ["defghij:def"],
    ["defghij:ghi"],
    ["defghij:j", "k:k"],
  ]);
  assert.deepEqual(cut("abc"), [["abc:abc"]]);
  assert.deepEqual(cut(), []);
});

test("a webhook is read when its slice is filled, not before", () => {
  const read: string[] = [];
  function* webhooks(): Generator<IngestWebhook> {
    for (const fields of ["ab", "cd", "ef", "gh"]) {
      read.push(fields);
      yield webhookOf(fields);
    }
  }
  slices(webhooks(), 3).next();
  assert.deepEqual(read, ["ab", "cd"]);
});

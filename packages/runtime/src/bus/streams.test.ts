import assert from "node:assert/strict";
import { test } from "node:test";
import { compareStream, configOf } from "./streams.ts";
import type { StreamDefinition } from "./types.ts";

const DEFINITION: StreamDefinition = {
  name: "EVENTS",
  subjects: ["b.>", "a.>"],
  maxAgeMs: 60_000,
  maxBytes: -1,
  replicas: 3,
};

test("the same configuration has no differences, whatever the order and the word for no limit", () => {
  const config = configOf(DEFINITION);
  assert.deepEqual(compareStream(DEFINITION, config), []);
  assert.deepEqual(
    compareStream(DEFINITION, {
      ...config,
      subjects: ["a.>", "b.>"],
      max_bytes: 0,
      max_msg_size: 0,
    }),
    [],
  );
});

test("a stream with more subjects is a newer version's, one with others is somebody else's", () => {
  const config = configOf(DEFINITION);
  assert.deepEqual(compareStream(DEFINITION, { ...config, subjects: ["a.>", "b.>", "c.>"] }), []);
  assert.deepEqual(compareStream(DEFINITION, { ...config, subjects: ["a.>", "c.>"] }), [
    "subjects is a.> c.>, wanted a.> b.>",
  ]);
});

test("each difference is named with both values, in ms", () => {
  const config = { ...configOf(DEFINITION), num_replicas: 1, storage: "memory", max_age: 1e9 };
  assert.deepEqual(compareStream(DEFINITION, config), [
    "storage is memory, wanted file",
    "maxAgeMs is 1000, wanted 60000",
    "replicas is 1, wanted 3",
  ]);
});

test("ids are never remembered longer than messages live", () => {
  assert.equal(configOf(DEFINITION).duplicate_window, 60_000 * 1e6);
  assert.equal(configOf({ ...DEFINITION, maxAgeMs: 0 }).duplicate_window, 120_000 * 1e6);
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { parse } from "yaml";
import { asyncapiDocument } from "./asyncapi.ts";
import { errorsDocument, eventsDocument, reasonsTable } from "./markdown.ts";

const read = (path: string): string =>
  readFileSync(new URL(`../../../../${path}`, import.meta.url), "utf8");

it("docs/errors.md, docs/events.md and asyncapi.yaml are what the contracts say", () => {
  const hint = "run node packages/contracts/src/write-documents.ts";
  assert.equal(read("docs/errors.md"), errorsDocument(), hint);
  assert.equal(read("docs/events.md"), eventsDocument(), hint);
  assert.deepEqual(parse(read("asyncapi.yaml")), asyncapiDocument(), hint);
});

it("docs/state-machines.md holds the table of reasons", () => {
  assert.ok(read("docs/state-machines.md").includes(reasonsTable()));
});

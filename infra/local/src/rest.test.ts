import assert from "node:assert/strict";
import { test } from "node:test";
import { RestError } from "./rest.ts";

test("a refusal is said by its code and sentences; the request only where nobody gave a code", () => {
  const of = (status: number, body: unknown): string =>
    new RestError("POST /api/x", status, body).message;
  const problem = { code: "SHARDS_APART", title: "Apart.", detail: "They are apart: 1, 2." };
  assert.equal(
    of(409, { ...problem, remedy: "Pin both." }),
    "SHARDS_APART: They are apart: 1, 2. Pin both.",
  );
  assert.equal(of(404, { code: "NOT_FOUND", title: "Nothing." }), "NOT_FOUND: Nothing.");
  const errors = [{ field: "at", message: "is the first company" }];
  assert.equal(
    of(400, { code: "INVALID_REQUEST", title: "Bad.", errors }),
    "INVALID_REQUEST: at is the first company.",
  );
  assert.equal(of(502, undefined), "POST /api/x: 502");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { isRetriable, isUnavailable } from "./errors.ts";

const withCode = (code: string): Error => Object.assign(new Error("message"), { code });

test("a database that cannot be asked is told apart from one that refuses", () => {
  for (const code of [
    "ECONNREFUSED",
    "ECONNRESET",
    "57P01",
    "57P03",
    "57014",
    "08006",
    "53300",
    "53100",
    "25P03",
  ]) {
    assert.equal(isUnavailable(withCode(code)), true, code);
  }
  for (const code of ["23505", "42501", "40P01", "22P02", "ENOENT"]) {
    assert.equal(isUnavailable(withCode(code)), false, code);
  }
  for (const message of [
    "Connection terminated unexpectedly",
    "Connection terminated due to connection timeout",
    "timeout exceeded when trying to connect",
    "Query read timeout",
  ]) {
    assert.equal(isUnavailable(new Error(message)), true, message);
  }
  assert.equal(isUnavailable(new AggregateError([withCode("ECONNREFUSED")])), true);
  for (const other of [undefined, null, "ECONNREFUSED", new Error("other"), { code: 1 }]) {
    assert.equal(isUnavailable(other), false);
  }
});

test("only deadlocks and serialization failures are worth the same transaction again", () => {
  assert.deepEqual(
    ["40P01", "40001", "23505"].map((code) => isRetriable(withCode(code))),
    [true, true, false],
  );
});

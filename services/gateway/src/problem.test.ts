import assert from "node:assert/strict";
import { test } from "node:test";
import { ERRORS, ManylineError } from "@manyline/contracts";
import { invalidRequest, noOwner, toProblem } from "./problem.ts";

test("a known error shows its code, detail, facts and remedy, with the seed's fields", () => {
  const { status, body, retryAfterSeconds } = toProblem(
    new ManylineError("RATE_LIMITED", {
      detail: "Wait 30 minutes",
      minutes: 30,
      retryAfterSeconds: 1800,
    }),
    "req_1",
  );
  assert.equal(status, 429);
  assert.equal(retryAfterSeconds, 1800);
  assert.deepEqual(body, {
    type: "urn:manyline:problem:RATE_LIMITED",
    title: ERRORS.RATE_LIMITED.title,
    status: 429,
    detail: "Wait 30 minutes",
    code: "RATE_LIMITED",
    success: false,
    error: "Wait 30 minutes",
    remedy: ERRORS.RATE_LIMITED.remedy,
    retry: "later",
    requestId: "req_1",
    minutes: 30,
  });
});

test("a 5xx never shows its message or facts", () => {
  for (const error of [
    new Error("password of the database is wrong"),
    new ManylineError("INTERNAL", { detail: "password", table: "secret_table" }),
    new ManylineError("PAIRING_CODE_FAILED", { detail: "password" }),
    "text thrown",
  ]) {
    const { body, status } = toProblem(error, "req_1");
    assert.ok(status >= 500);
    assert.doesNotMatch(JSON.stringify(body), /password|secret_table/);
  }
});

test("a database that cannot be asked is 503 with Retry-After", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
  const { body, retryAfterSeconds } = toProblem(refused, "req_1");
  assert.equal(body.code, "UNAVAILABLE");
  assert.equal(retryAfterSeconds, 5);
});

test("no owner: soon again, but a paused shard promises no seconds and says why", () => {
  const lost = toProblem(noOwner(false), "r");
  assert.deepEqual(
    [lost.body.code, lost.body.detail, lost.retryAfterSeconds],
    ["NO_OWNER", undefined, 5],
  );
  const paused = toProblem(noOwner(true), "r");
  assert.equal(paused.status, 503);
  assert.match(String(paused.body.detail), /operator has paused/);
  assert.match(JSON.stringify(paused.body), /"isPaused":true/);
  assert.deepEqual([paused.body.retry, paused.retryAfterSeconds], ["later", undefined]);
});

test("facts cannot overwrite the answer's own fields", () => {
  const { body } = toProblem(
    new ManylineError("FORBIDDEN", { code: "X", success: true, status: 200, requestId: "mine" }),
    "req_1",
  );
  assert.equal(body.code, "FORBIDDEN");
  assert.equal(body.success, false);
  assert.equal(body.status, 403);
  assert.equal(body.requestId, "req_1");
});

test("field errors are listed; the framework's errors have codes of ours", () => {
  const { body } = toProblem(
    invalidRequest({ field: "timezone", message: "is no time zone" }),
    "r",
  );
  assert.deepEqual(body.errors, [{ field: "timezone", message: "is no time zone" }]);
  const codeOf = (code: string, statusCode: number): string =>
    toProblem(Object.assign(new Error(code), { code, statusCode }), "r").body.code;
  assert.equal(codeOf("FST_ERR_CTP_BODY_TOO_LARGE", 413), "PAYLOAD_TOO_LARGE");
  assert.equal(codeOf("FST_ERR_CTP_INVALID_MEDIA_TYPE", 415), "UNSUPPORTED_MEDIA_TYPE");
  assert.equal(codeOf("FST_ERR_BAD_URL", 400), "INVALID_REQUEST");
  assert.equal(codeOf("FST_ERR_SOMETHING", 400), "INVALID_REQUEST");
  assert.equal(codeOf("FST_ERR_SOMETHING", 500), "INTERNAL");
});

test("a body that is no JSON is told so, as no field can be named", () => {
  const error = Object.assign(new Error("Unexpected token"), {
    code: "FST_ERR_CTP_INVALID_JSON_BODY",
    statusCode: 400,
  });
  const { status, body } = toProblem(error, "r");
  assert.deepEqual(
    [status, body.code, body.detail],
    [400, "INVALID_REQUEST", "The body is not valid JSON."],
  );
});

test("a character that Postgres cannot hold is the caller's mistake", () => {
  const error = Object.assign(new Error("invalid byte sequence for encoding"), { code: "22021" });
  assert.equal(toProblem(error, "r").body.code, "INVALID_REQUEST");
});

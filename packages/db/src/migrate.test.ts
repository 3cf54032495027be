import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { parsePasswords } from "./migrate-main.ts";
import { scramVerifier } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { roleUrl } from "./roles.ts";

test("a password becomes the verifier of RFC 7677's example", () => {
  const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");
  assert.equal(
    scramVerifier("pencil", salt),
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
  );
  for (const bad of ["", "with space", "ümlaut"])
    assert.throws(() => scramVerifier(bad), TypeError);
});

test("every migration file is listed, in the order of its name", () => {
  const files = readdirSync(new URL("migrations/", import.meta.url))
    .filter((file) => /^\d{8}-/.test(file))
    .map((file) => file.replace(/\.ts$/, ""));
  assert.deepEqual(Object.keys(migrations), files.toSorted());
});

test("passwords are read by role; messages show none", () => {
  const all = { app: "a", platform: "b", worker: "c", ingest: "e", notify: "f", relay: "d" };
  assert.deepEqual(parsePasswords(JSON.stringify(all)), all);
  for (const text of [
    undefined,
    "",
    "secret",
    "[]",
    '{"app":"secret"}',
    '{"app":"","platform":"secret"}',
  ]) {
    assert.throws(
      () => parsePasswords(text),
      (error: Error) => !error.message.includes("secret"),
    );
  }
});

test("a role's URL keeps host, database and options, and escapes the password", () => {
  const url = roleUrl(
    "postgres://owner:x@db.example:5433/manyline?sslmode=require",
    "worker",
    "p@ss/w:rd",
  );
  assert.equal(
    url,
    "postgres://manyline_worker:p%40ss%2Fw%3Ard@db.example:5433/manyline?sslmode=require",
  );
});

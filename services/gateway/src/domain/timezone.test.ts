import assert from "node:assert/strict";
import { test } from "node:test";
import { isTimezone } from "./timezone.ts";

test("IANA names only", () => {
  for (const zone of ["UTC", "Europe/Moscow", "America/Argentina/Buenos_Aires"]) {
    assert.ok(isTimezone(zone), zone);
  }
  for (const text of ["", "+03:00", "Moscow/Europe", "Europe/Moscow; drop", "3"]) {
    assert.ok(!isTimezone(text), text);
  }
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { SESSION_REASONS } from "@manyline/contracts";
import { answerCodeRequest, answerQrRequest, newAttempt } from "./pairing-machine.ts";
import { CLOSING_REASONS, REACTIONS } from "./closing-reasons.ts";

const document = readFileSync(
  new URL("../../../../docs/state-machines.md", import.meta.url),
  "utf8",
);

it("docs/state-machines.md holds the table of closing reasons, and no other row", () => {
  const rows = document.split("\n").filter((line) => /^\| \d{3} \|/.test(line));
  const expected = Object.entries(CLOSING_REASONS).map(
    ([code, rule]) =>
      `| ${code} | ${SESSION_REASONS[rule.reason].status} / \`${rule.reason}\` | \`${rule.reaction}\` | ${rule.meaning} |`,
  );
  assert.deepEqual(rows, expected);
  for (const reaction of REACTIONS) {
    if (reaction !== "none") assert.ok(document.includes(`\`${reaction}\`:`), reaction);
  }
});

it("draws every state of an attempt", () => {
  const attempt = newAttempt("qr", null);
  for (const state of [
    "starting",
    "qr",
    "requesting",
    "code",
    "code_expired",
    "linking",
    "passkey_required",
    "ended",
  ] as const) {
    assert.ok(document.includes(`  ${state} -->`), state);
    assert.ok(
      answerQrRequest({ ...attempt, state }) &&
        answerCodeRequest({ ...attempt, state }, "1" as never),
    );
  }
});

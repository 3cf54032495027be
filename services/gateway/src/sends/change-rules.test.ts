import assert from "node:assert/strict";
import { test } from "node:test";
import { ManylineError } from "@manyline/contracts";
import type { Message } from "@manyline/contracts";
import { assertChangeable } from "./change-rules.ts";

const now = new Date("2026-11-21T12:00:00.000Z");
const at = (minutesAgo: number): string =>
  new Date(now.getTime() - minutesAgo * 60_000).toISOString();
const own = {
  type: "text",
  direction: "out",
  status: "sent",
  at: at(1),
  statusAt: at(1),
  deletedAt: null,
} as Message;

function mayBe(message: Partial<Message>): string {
  const changes = ["reaction", "edit", "delete"] as const;
  return changes
    .filter((change) => {
      try {
        assertChangeable({ ...own, ...message }, change, now);
        return true;
      } catch (error) {
        if (error instanceof ManylineError && error.code === "NOT_CHANGEABLE") return false;
        throw error;
      }
    })
    .join();
}

test("what can be done with which message", () => {
  for (const [message, expected] of [
    [{}, "reaction,edit,delete"],
    [{ direction: "echo", statusAt: null }, "reaction,edit,delete"],
    [{ direction: "in", status: "received" }, "reaction"],
    [{ type: "image" }, "reaction,edit,delete"],
    [{ type: "location" }, "reaction,delete"],
    [{ statusAt: at(16) }, "reaction,delete"],
    [{ direction: "echo", at: at(16), statusAt: null }, "reaction,delete"],
    [{ status: "queued", at: at(60), statusAt: null }, "reaction,edit,delete"],
    [{ deletedAt: at(0) }, ""],
    [{ status: "failed" }, ""],
    [{ status: "expired" }, ""],
    [{ type: "reaction" }, ""],
  ] as const) {
    assert.equal(mayBe(message), expected, JSON.stringify(message));
  }
});

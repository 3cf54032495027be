import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { it } from "node:test";
import type { WASocket } from "@whiskeysockets/baileys";
import { guardFrames } from "./frame-guard.ts";

function guarded() {
  const ws = new EventEmitter();
  const log: string[] = [];
  const handle: (text: string) => unknown = async (text) => {
    await turn();
    if (text === "bad") throw new Error("invalid tag");
    ws.emit("frame", text);
    if (text === "stumble") throw new Error("stumbled");
  };
  ws.on("message", handle);
  guardFrames({ ws } as unknown as WASocket, {
    onBadFrame: (error) => log.push(String(error)),
    fail: (error) => log.push(`ended: ${error.message}`),
  });
  const receive = async (...texts: string[]): Promise<void> => {
    for (const text of texts) {
      ws.emit("message", text);
      await turn();
      await turn();
    }
  };
  return { receive, log };
}

it("leaves out a frame that cannot be read, or that is stumbled over, and goes on", async () => {
  const { receive, log } = guarded();
  await receive("a", "bad", "bad", "b", "stumble", "bad", "bad", "bad", "c");
  assert.equal(log.length, 6);
  assert.ok(
    log.every((line) => !line.startsWith("ended")),
    log.join(),
  );
});

it("ends the connection when nothing can be read any more, once", async () => {
  const { receive, log } = guarded();
  await receive(...Array.from({ length: 9 }, () => "bad"));
  assert.deepEqual(
    log.filter((line) => line.startsWith("ended")),
    ["ended: frames cannot be read any more"],
  );
});

it("refuses a library that hears of frames in another way", () => {
  const parts = { onBadFrame: () => undefined, fail: () => undefined };
  assert.throws(
    () => guardFrames({ ws: new EventEmitter() } as unknown as WASocket, parts),
    TypeError,
  );
});

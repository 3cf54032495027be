import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { it } from "node:test";
import type { WASocket } from "@whiskeysockets/baileys";
import { installQuietGate } from "./quiet-gate.ts";

/** What Baileys has below it, as far as the gate touches it. */
class Wire extends EventEmitter {
  readonly sent: string[] = [];
  isPaused = false;
  send(data: string): void {
    this.sent.push(data);
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  terminate(): void {
    this.emit("close");
  }
}

it("holds both directions while quiet, asked at every frame, and lets them go in order", () => {
  const wire = new Wire();
  let isQuiet = false;
  const gate = installQuietGate({ ws: { socket: wire } } as unknown as WASocket, () => isQuiet);
  const received: unknown[] = [];
  wire.on("message", (data) => received.push(data));
  let closed = 0;
  wire.on("close", () => (closed += 1));

  wire.send("a");
  wire.emit("message", 1);
  isQuiet = true;
  wire.send("b");
  wire.emit("message", 2);
  assert.deepEqual([wire.sent, received, wire.isPaused], [["a"], [1], true]);
  gate.heard();
  assert.deepEqual([wire.sent, received], [["a"], [1]], "still quiet: nothing passes");

  isQuiet = false;
  // What comes after the end of quiet and before it is told must not overtake.
  wire.send("c");
  wire.emit("message", 3);
  assert.deepEqual([wire.sent, received], [["a"], [1]]);
  gate.heard();
  assert.deepEqual([wire.sent, received, wire.isPaused], [["a", "b", "c"], [1, 2, 3], false]);

  isQuiet = true;
  wire.terminate();
  assert.equal(closed, 1, "the end of a connection is told at once");
});

it("refuses a library whose insides it does not know", () => {
  assert.throws(() => installQuietGate({ ws: {} } as unknown as WASocket, () => false), TypeError);
});

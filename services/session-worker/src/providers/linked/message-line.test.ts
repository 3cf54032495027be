import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { it } from "node:test";
import type { BinaryNode, WASocket } from "@whiskeysockets/baileys";
import { lineUpMessages } from "./message-line.ts";

const stanza = (id: string): BinaryNode => ({ tag: "message", attrs: { id, offline: "1" } });

it("hands over one stanza at a time, in order, and none while quiet", async () => {
  const ws = new EventEmitter();
  const log: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const begin = ({ attrs }: BinaryNode): unknown => {
    log.push(`begins ${attrs["id"]}${"offline" in attrs ? " offline" : ""}`);
    const gate = Promise.withResolvers<void>();
    gates.set(attrs["id"] ?? "", gate);
    return gate.promise;
  };
  ws.on("CB:message", begin);
  let isQuiet = false;
  const line = lineUpMessages(
    { ws } as unknown as WASocket,
    () => isQuiet,
    ({ attrs }) => log.push(`before ${attrs["id"]}`),
  );
  for (const id of ["a", "b", "c"]) ws.emit("CB:message", stanza(id));
  await turn();
  assert.deepEqual(log, ["before a", "begins a"]);
  gates.get("a")?.reject(new Error("Connection Closed"));
  await turn();
  assert.deepEqual(log.slice(2), ["before b", "begins b"]);
  isQuiet = true;
  gates.get("b")?.resolve();
  await turn();
  assert.equal(log.length, 4);
  isQuiet = false;
  line.heard();
  await turn();
  assert.deepEqual(log.slice(4), ["before c", "begins c"]);
});

it("refuses a library whose insides it does not know", () => {
  const sock = { ws: new EventEmitter() } as unknown as WASocket;
  assert.throws(
    () =>
      lineUpMessages(
        sock,
        () => false,
        () => undefined,
      ),
    TypeError,
  );
});

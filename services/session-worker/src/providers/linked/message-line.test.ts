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
    { ws, messageMutex: { mutex: () => undefined } } as unknown as WASocket,
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

it("goes on after what cannot be decrypted, while the library is still at it; once for each", async () => {
  const ws = new EventEmitter();
  const log: string[] = [];
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const nodes = ["a", "b", "c"].map(stanza);
  ws.on("CB:message", ({ attrs }: BinaryNode): unknown => {
    log.push(String(attrs["id"]));
    const gate = Promise.withResolvers<void>();
    gates.set(attrs["id"] ?? "", gate);
    return gate.promise;
  });
  const messageMutex = { mutex: (_work: () => unknown): unknown => assert.fail("the library's") };
  const sock = { ws, messageMutex } as unknown as WASocket;
  const line = lineUpMessages(
    sock,
    () => false,
    () => undefined,
  );
  for (const node of nodes) ws.emit("CB:message", node);
  assert.equal(await messageMutex.mutex(() => 7), 7);
  const [a, b] = nodes;
  assert.ok(a && b);
  line.passOver(b.attrs);
  await turn();
  assert.deepEqual(log, ["a"], "not its turn");
  line.passOver(a.attrs);
  await turn();
  assert.deepEqual(log, ["a", "b"]);
  line.passOver(a.attrs);
  gates.get("a")?.resolve();
  await turn();
  assert.deepEqual(log, ["a", "b"], "the end of what was passed over is nobody's turn");
  gates.get("b")?.resolve();
  await turn();
  assert.deepEqual(log, ["a", "b", "c"]);
});

it("refuses a library whose insides it does not know", () => {
  const handled = new EventEmitter();
  handled.on("CB:message", () => undefined);
  for (const ws of [new EventEmitter(), handled]) {
    assert.throws(
      () =>
        lineUpMessages(
          { ws } as unknown as WASocket,
          () => false,
          () => undefined,
        ),
      TypeError,
    );
  }
});

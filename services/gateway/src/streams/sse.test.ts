import assert from "node:assert/strict";
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
import { Duplex } from "node:stream";
import { mock, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SseResponse } from "./sse.ts";

/** An answer to a reader that takes what `onWrite` lets it take. */
function answer(onWrite: (text: string, taken: () => void) => void): SseResponse {
  const wire = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, taken) => onWrite(chunk.toString(), taken),
  });
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  // Only what every stream has is used of it.
  response.assignSocket(wire as Socket);
  return new SseResponse(response, {});
}

const large = { event: "large", data: "x".repeat(100_000) };

test("messages have an event, data in one line, and an id where there is one", async () => {
  let text = "";
  const sse = answer((chunk, taken) => {
    text += chunk;
    taken();
  });
  await sse.send({ id: "evt_1", event: "a", data: { b: "c\nd" } }, { event: "e", data: 1 });
  // Node hands a burst of writes on together, at the end of the turn.
  await setImmediate();
  assert.match(text, /id: evt_1\nevent: a\ndata: \{"b":"c\\nd"\}\n\n/);
  assert.match(text, /event: e\ndata: 1\n\n/);
});

test("a reader that takes nothing is cut off; all that is sent at once has one deadline", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const deaf = answer(() => undefined);
    const sending = deaf.send(large, large);
    mock.timers.tick(29_999);
    assert.deepEqual([deaf.isOpen, deaf.wasSlow], [true, false]);
    mock.timers.tick(1);
    await sending;
    assert.deepEqual([deaf.isOpen, deaf.wasSlow], [false, true]);

    const trickling: (() => void)[] = [];
    const slow = answer((_text, taken) => trickling.push(taken));
    const all = slow.send(large, large, large, large, large, large);
    for (let i = 0; i < 3; i += 1) {
      mock.timers.tick(10_000);
      trickling.shift()?.();
    }
    await all;
    assert.equal(slow.wasSlow, true);
  } finally {
    mock.timers.reset();
  }
});

test("an answer that ended is not kept for a reader that does not take its end", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    let isDestroyed = false;
    const wire = new Duplex({
      read: () => undefined,
      write: () => undefined,
      destroy: (error, done) => {
        isDestroyed = true;
        done(error);
      },
    });
    const response = new ServerResponse(new IncomingMessage(new Socket()));
    response.assignSocket(wire as Socket);
    const sse = new SseResponse(response, {});
    sse.end();
    mock.timers.tick(30_000);
    assert.ok(isDestroyed);
  } finally {
    mock.timers.reset();
  }
});

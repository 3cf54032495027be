import assert from "node:assert/strict";
import { test } from "node:test";
import { frame, FrameReader, INTRO } from "./frames.ts";

const payloads = [Buffer.from("one"), Buffer.alloc(0), Buffer.alloc(70_000, 7)];
const stream = Buffer.concat([INTRO, ...payloads.map(frame)]);

test("frames joined in one message come out one by one", () => {
  assert.deepEqual(new FrameReader().push(stream), payloads);
});

test("frames split at every possible place come out whole", () => {
  const short = Buffer.concat([INTRO, frame(Buffer.from("abc")), frame(Buffer.from("de"))]);
  for (let cut = 1; cut < short.length; cut++) {
    const reader = new FrameReader();
    const frames = [...reader.push(short.subarray(0, cut)), ...reader.push(short.subarray(cut))];
    assert.deepEqual(frames.map(String), ["abc", "de"], `cut after ${cut} bytes`);
  }
});

test("single bytes are enough", () => {
  const reader = new FrameReader();
  const bytes = Buffer.concat([INTRO, frame(Buffer.from("x"))]);
  const frames = [...bytes].flatMap((byte) => reader.push(Buffer.from([byte])));
  assert.deepEqual(frames.map(String), ["x"]);
});

test("the routing prefix is read and cut off, also when it is split", () => {
  const routing = Buffer.from([0x45, 0x44, 0, 1, 0, 0, 4, 8, 2, 8, 5]);
  const bytes = Buffer.concat([routing, INTRO, frame(Buffer.from("x"))]);
  for (const cut of [0, 3, 6, 9, 12]) {
    const reader = new FrameReader();
    const frames = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
    assert.deepEqual(frames.map(String), ["x"]);
    assert.deepEqual(reader.routingInfo, Buffer.from([8, 2, 8, 5]));
  }
});

test("another intro is refused", () => {
  assert.throws(() => new FrameReader().push(Buffer.from("GET / HTTP/1.1")), /unexpected intro/);
});

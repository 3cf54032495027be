import assert from "node:assert/strict";
import { test } from "node:test";
import { readSse } from "./sse-parser.ts";
import type { SseMessage } from "./sse-parser.ts";

async function read(...chunks: (string | Uint8Array)[]): Promise<SseMessage[]> {
  const encoder = new TextEncoder();
  const bytes = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) {
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      }
      controller.close();
    },
  });
  const found: SseMessage[] = [];
  for await (const message of readSse(bytes)) found.push(message);
  return found;
}

const one = { event: "message.received", data: '{"a":"é"}' };

test("messages, comments, other fields, wherever the chunks are cut", async () => {
  const text =
    'retry: 2000\n\n: still here\n\nid: evt_1\nevent: message.received\ndata: {"a":"é"}\n\n';
  assert.deepEqual(await read(text), [one]);
  const bytes = new TextEncoder().encode(text);
  for (let cut = 1; cut < bytes.length; cut += 1) {
    assert.deepEqual(await read(bytes.subarray(0, cut), bytes.subarray(cut)), [one], `at ${cut}`);
  }
});

test("other line ends, several lines of data, no name", async () => {
  assert.deepEqual(await read("data:a\r\ndata: b\r\n\r\ndata\r\n\r\n"), [
    { event: "message", data: "a\nb" },
    { event: "message", data: "" },
  ]);
});

test("what is cut off is dropped", async () => {
  assert.deepEqual(await read("event: a\ndata: 1\n\nevent: b\ndata: 2\n"), [
    { event: "a", data: "1" },
  ]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { formOf } from "./upload.ts";

test("a file becomes a form of the length that was announced", async () => {
  const file = ReadableStream.from([Buffer.from("one "), Buffer.from("two")]);
  const about = { mimeType: "image/png", fileName: 'my "picture"\r\n.png', bytes: 7 };
  const { contentType, bytes, chunks } = formOf(file, about);
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  const body = Buffer.concat(parts);
  assert.equal(body.length, bytes);
  const form = await new Response(body, { headers: { "content-type": contentType } }).formData();
  assert.deepEqual([form.get("messaging_product"), form.get("type")], ["whatsapp", "image/png"]);
  const sent = form.get("file");
  assert.ok(sent instanceof File);
  assert.deepEqual([await sent.text(), sent.type], ["one two", "image/png"]);
  assert.match(sent.name, /picture/);
});

test("of a file of unknown length the form's is not known either", () => {
  const about = { mimeType: "image/png", fileName: "a", bytes: undefined };
  assert.equal(formOf(ReadableStream.from([]), about).bytes, undefined);
});

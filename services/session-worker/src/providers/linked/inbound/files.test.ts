import assert from "node:assert/strict";
import { it } from "node:test";
import { FileGoneError } from "../../provider.ts";
import { fetchFile } from "./files.ts";
import type { MediaSource } from "./media.ts";

const source = (more: Partial<MediaSource>): Buffer =>
  Buffer.from(
    JSON.stringify({
      kind: "image",
      url: null,
      directPath: null,
      mediaKey: Buffer.alloc(32, 1).toString("base64"),
      fileEncSha256: null,
      ...more,
    }),
  );

it("asks nobody but WhatsApp's servers, whatever address a message names", async () => {
  for (const url of [
    "http://169.254.169.254/latest/meta-data",
    "https://127.0.0.1:1/file",
    "http://mmg.whatsapp.net/file",
    "https://mmg.whatsapp.net.evil.example/file",
    "https://evilwhatsapp.net/file",
    "https://mmg.whatsapp.net@evil.example/file",
    "file:///etc/passwd",
    "nothing",
  ]) {
    await assert.rejects(fetchFile(source({ url }), undefined), FileGoneError, url);
  }
  for (const directPath of ["@evil.example/file", ".evil.example/file", ""]) {
    await assert.rejects(fetchFile(source({ directPath }), undefined), FileGoneError, directPath);
  }
});

it("with a simulator asks that one alone", async () => {
  const server = "ws://127.0.0.1:1/ws/chat";
  const asked = fetchFile(source({ url: "http://127.0.0.1:1/media/x" }), server);
  await assert.rejects(asked, (error) => !(error instanceof FileGoneError), "it tried");
  for (const other of [
    { url: "http://127.0.0.1:2/media/x" },
    { url: "https://mmg.whatsapp.net/x" },
    { directPath: "/v/x" },
  ]) {
    await assert.rejects(fetchFile(source(other), server), FileGoneError);
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { plainType, sniff } from "./sniff.ts";

test("files are known by how they begin", () => {
  for (const [begin, type] of [
    ["\xff\xd8\xff\xe0\x00\x10JFIF", "image/jpeg"],
    ["\x89PNG\r\n\x1a\n\x00\x00\x00\r", "image/png"],
    ["GIF89a", "image/gif"],
    ["RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"],
    ["RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"],
    ["RIFF\x00\x00\x00\x00AVI ", undefined],
    ["OggS\x00\x02", "audio/ogg"],
    ["#!AMR\n", "audio/amr"],
    ["ID3\x04", "audio/mpeg"],
    ["\xff\xfb\x90", "audio/mpeg"],
    ["\xff\xf1\x50", "audio/aac"],
    ["\x00\x00\x00\x20ftypisom", "video/mp4"],
    ["\x00\x00\x00\x20ftypmp42", "video/mp4"],
    ["\x00\x00\x00\x20ftypM4A ", "audio/mp4"],
    ["\x00\x00\x00\x20ftyp3gp5", "video/3gpp"],
    ["\x00\x00\x00\x14ftypqt  ", "video/quicktime"],
    ["%PDF-1.7", "application/pdf"],
    ["<!doctype html>", undefined],
    ["\xff", undefined],
    ["", undefined],
  ] as const) {
    assert.equal(sniff(Buffer.from(begin, "latin1")), type, JSON.stringify(begin));
  }
});

test("media types lose their parameters, and nonsense is none", () => {
  assert.equal(plainType("Image/JPEG; charset=binary"), "image/jpeg");
  for (const text of [undefined, "", "image", "image/", "a b/c", "text/html\r\nx: y"]) {
    assert.equal(plainType(text), undefined, text);
  }
});

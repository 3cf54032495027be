import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import { qrModules, qrPng, qrSvg } from "./qr-image.ts";

/** As long as a real linking QR. */
const TEXT = `2@${"A".repeat(140)},${"b".repeat(44)}=,${"c".repeat(43)}=,${"d".repeat(43)}=,1`;

test("a real length of text is version 11 with a quiet zone of 4", () => {
  const modules = qrModules("x".repeat(295));
  assert.equal(modules.length, 61 + 8);
  const margin = modules.slice(0, 4).flat();
  assert.ok(margin.every((isBlack) => !isBlack));
  assert.equal(modules[4]?.[4], true, "the corner of the finder pattern");
});

test("svg and png show the same modules", () => {
  const modules = qrModules(TEXT);
  const size = modules.length;

  const fromSvg = modules.map((row) => row.map(() => false));
  const path = /fill="#000" d="([^"]*)"/.exec(qrSvg(TEXT))?.[1] ?? "";
  for (const [, x, y, n] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g)) {
    for (let i = 0; i < Number(n); i += 1) {
      const row = fromSvg[Number(y)];
      if (row) row[Number(x) + i] = true;
    }
  }
  assert.deepEqual(fromSvg, modules);

  const png = qrPng(TEXT);
  assert.equal(png.subarray(1, 4).toString("latin1"), "PNG");
  assert.equal(png.readUInt32BE(16), size * 8);
  const dataLength = png.readUInt32BE(33);
  const pixels = inflateSync(png.subarray(41, 41 + dataLength));
  const fromPng = modules.map((row, y) =>
    row.map((_, x) => pixels[y * 8 * (size + 1) + 1 + x] === 0),
  );
  assert.deepEqual(fromPng, modules);
});

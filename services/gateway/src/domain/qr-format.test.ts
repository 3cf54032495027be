import assert from "node:assert/strict";
import { test } from "node:test";
import { qrFormat } from "./qr-format.ts";

test("Accept decides, JSON where nothing is said", () => {
  assert.equal(qrFormat(undefined), "json");
  assert.equal(qrFormat("*/*"), "json");
  assert.equal(qrFormat("image/png"), "png");
  assert.equal(qrFormat("image/svg+xml, image/png;q=0.5"), "svg");
  // What a browser sends for an <img>.
  assert.equal(qrFormat("image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8"), "png");
  assert.equal(qrFormat("application/json, image/png"), "json");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { getBinaryNodeChildren, proto, type BinaryNode } from "@whiskeysockets/baileys";
import { isOfLibrary } from "./library-errors.ts";

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return assert.fail("nothing was thrown");
}

test("an error of the library, or of what it calls", () => {
  assert.equal(isOfLibrary(thrownBy(() => proto.Message.decode(Buffer.from([0xff])))), true);
});

test("an error of ours, also when the library called us", () => {
  const ours = thrownBy(() => {
    throw new Error("at /node_modules/libsignal/x");
  });
  assert.equal(isOfLibrary(ours), false);
  const node: BinaryNode = { tag: "x", attrs: {}, content: [] };
  Object.defineProperty(node, "content", {
    get: () => {
      throw new Error("ours");
    },
  });
  assert.equal(isOfLibrary(thrownBy(() => getBinaryNodeChildren(node, "a"))), false);
  assert.equal(isOfLibrary(thrownBy(() => JSON.parse("{"))), false);
  assert.equal(isOfLibrary("text"), false);
});

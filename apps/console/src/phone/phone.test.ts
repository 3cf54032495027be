import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cellsOf, readCode } from "./code-cells.ts";
import { describeEvent, phoneOfEvent } from "./events.ts";
import { pictureAddress, shownInText } from "./transfer.ts";

describe("a typed code", () => {
  it("is read with and without dash, in any letters", () => {
    for (const text of ["K7WM-3XQP", "k7wm3xqp", " K7WM 3XQP ", "K7WM–3XQP", "K7WM-3XQP99"]) {
      assert.equal(readCode(text), "K7WM3XQP", text);
    }
    assert.equal(readCode("O0I-1"), "1", "no zero, no letter O, no letter I");
  });

  it("fills the cells from the left", () => {
    assert.deepEqual(cellsOf("K7W"), ["K", "7", "W", "", "", "", "", ""]);
  });
});

describe("what is dropped or pasted", () => {
  it("is a picture's address, or the link text", () => {
    assert.deepEqual(shownInText(" data:image/png;base64,AA== "), {
      kind: "data-url",
      url: "data:image/png;base64,AA==",
    });
    assert.deepEqual(shownInText("2@ref,key,id,secret,1"), {
      kind: "text",
      text: "2@ref,key,id,secret,1",
    });
    assert.equal(shownInText("  "), undefined);
  });

  it("a dragged image comes as a piece of HTML", () => {
    const html =
      '<meta charset="utf-8"><img class="qr" src="data:image/svg+xml,%3Csvg%3E" alt="QR">';
    assert.equal(pictureAddress(html), "data:image/svg+xml,%3Csvg%3E");
    assert.equal(pictureAddress("<p>no picture</p>"), undefined);
  });
});

describe("what a phone saw", () => {
  const device = { id: 3, name: "Chrome (Mac OS)", platform: "x", linkedAt: "", connected: true };

  it("is told in a line", () => {
    assert.equal(
      describeEvent({ type: "code-requested", msisdn: "7", display: "Chrome (Mac OS)" }),
      "code request, Chrome (Mac OS)",
    );
    assert.equal(
      describeEvent({ type: "linked", msisdn: "7", device }),
      "device 3 linked, Chrome (Mac OS)",
    );
    assert.equal(describeEvent({ type: "closed" }), undefined);
    assert.equal(phoneOfEvent({ type: "closed" }), undefined);
  });
});

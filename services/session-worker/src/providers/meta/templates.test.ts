import assert from "node:assert/strict";
import { test } from "node:test";
import { TemplateBook } from "./templates.ts";

const place = { wabaId: "8", phoneNumberId: "9", token: "EAA", isActive: true };
const offer = { name: "offer", language: "en" };
const answer = {
  data: [
    {
      name: "offer_old",
      language: "en",
      components: [{ type: "BUTTONS", buttons: [{ type: "FLOW" }] }],
    },
    { name: "offer", language: "de", components: null },
    {
      name: "offer",
      language: "en",
      components: [
        { type: "BODY", text: "hi" },
        { type: "BUTTONS", buttons: [{ type: "QUICK_REPLY" }, null, { type: "FLOW" }] },
      ],
    },
  ],
};

test("Meta is asked once an hour for each template, and sooner again when it did not answer", async () => {
  let now = 0;
  const asked: string[] = [];
  const answers: (() => Promise<Record<string, unknown>>)[] = [
    () => Promise.reject(new Error("away")),
    () => Promise.resolve({}),
    () => Promise.resolve(answer),
  ];
  const graph = {
    call: (_method: string, path: string) => {
      asked.push(path);
      return (answers.shift() ?? (() => Promise.resolve(answer)))();
    },
  };
  const book = new TemplateBook(() => now);
  const buttons = (companyNo = 1) => book.flowButtons(graph, companyNo, place, offer);
  assert.deepEqual([await buttons(), await buttons()], [[], []]);
  assert.deepEqual(asked, [
    "8/message_templates?name=offer&fields=name%2Clanguage%2Ccomponents&limit=100",
  ]);
  now += 300_001;
  assert.deepEqual([await buttons(), asked.length], [[], 2]);
  now += 3_600_001;
  assert.deepEqual([await buttons(), await buttons(), asked.length], [["2"], ["2"], 3]);
  // What one company has heard is nothing that another one knows.
  assert.deepEqual([await buttons(2), asked.length], [["2"], 4]);
});

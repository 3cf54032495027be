import assert from "node:assert/strict";
import { test } from "node:test";
import { ManylineError, newMediaId, newMessageId } from "@manyline/contracts";
import { sendBody } from "./send-body.ts";

const to = "79007654321";
const fields = (body: unknown): string[] => {
  try {
    sendBody(body);
  } catch (error) {
    if (!(error instanceof ManylineError) || error.code !== "INVALID_REQUEST") throw error;
    return (error.facts["errors"] as { field: string }[]).map(({ field }) => field);
  }
  return [];
};

test("of a wrong body the fields are told that its own kind minds", () => {
  const mediaId = newMediaId();
  const messageId = newMessageId();
  for (const [body, expected] of [
    [{ type: "text", to, text: "a" }, []],
    [{ type: "image", to, mediaId, caption: "a" }, []],
    [null, ["type"]],
    [[], ["type"]],
    [{ to, text: "a" }, ["type"]],
    [{ type: "carousel", to }, ["type"]],
    [{ type: ["text"], to, text: "a" }, ["type"]],
    [{ type: "text" }, ["to", "text"]],
    [{ type: "text", to, text: "a", txt: "b" }, ["txt"]],
    [{ type: "image", to }, ["mediaId"]],
    [{ type: "image", to, mediaId, url: "https://example.com/a.png" }, ["mediaId"]],
    [{ type: "image", to, mediaId, mimeType: "image/png" }, ["mimeType"]],
    [
      { type: "poll", to, poll: { name: "a", options: ["b", "c"], selectable: 3 } },
      ["poll.selectable"],
    ],
    [{ type: "poll", to, poll: { name: "a", options: ["b", "b"] } }, ["poll.options"]],
    [{ type: "reaction", messageId, emoji: null }, []],
    [{ type: "reaction", messageId, emoji: "hello" }, ["emoji"]],
    [{ type: "reaction", messageId, emoji: "👍👍" }, ["emoji"]],
    [{ type: "reaction", messageId, emoji: "5" }, ["emoji"]],
    [{ type: "location", to, location: { latitude: 91, longitude: 0 } }, ["location.latitude"]],
  ] as const) {
    assert.deepEqual(fields(body), expected, JSON.stringify(body));
  }
});

test("a reaction is any one emoji, however many code points it has", () => {
  for (const emoji of ["👍", "❤️", "❤", "👨‍👩‍👧‍👦", "🇩🇪", "1️⃣", "👍🏽", "☺", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]) {
    assert.deepEqual(fields({ type: "reaction", messageId: newMessageId(), emoji }), [], emoji);
  }
});

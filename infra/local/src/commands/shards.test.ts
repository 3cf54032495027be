import assert from "node:assert/strict";
import { test } from "node:test";
import type { Shard } from "@manyline/contracts";
import { Refusal } from "../refusal.ts";
import { run } from "./testing.ts";

const now = new Date().toISOString();
const PATH = "/api/whatsapp/shards";

function shard(changes: Partial<Shard> = {}): Shard {
  return {
    id: 7,
    isLive: true,
    owner: { workerId: "pod-a-1", host: "pod-a" },
    ownedSince: now,
    epoch: 12,
    expiresAt: now,
    weight: 65,
    moves: 3,
    range: { lo: 385, hi: 449, firstCompanyId: "a1", lastCompanyId: "z9", companies: 64 },
    numbers: 64,
    connected: 60,
    pin: null,
    isPaused: false,
    pending: { split: null, merge: false },
    ...changes,
  };
}

const move = {
  shardId: 7,
  epoch: 12,
  how: "taken_over",
  workerId: "pod-a-1",
  previousWorkerId: "pod-b-1",
  at: now,
};

test("shards: a line each; one with its facts and moves", async () => {
  const free = shard({
    id: 8,
    isLive: false,
    owner: null,
    ownedSince: null,
    range: { lo: 449, hi: 513, firstCompanyId: null, lastCompanyId: null, companies: 0 },
    isPaused: true,
    pin: { host: "pod-x", isBinding: false },
  });
  const list = await run("shards", { [`GET ${PATH}`]: { success: true, shards: [shard(), free] } });
  assert.match(list.lines[1] ?? "", /^ +7 +64: a1 … z9 +pod-a-1 +0s +12 +3 +65 +64 +60 +-$/);
  assert.match(
    list.lines[2] ?? "",
    /8 +none +nobody .* paused, pinned to pod-x \(no worker there\)$/,
  );

  const answers = { [`GET ${PATH}/7`]: { success: true, shard: shard(), moves: [move] } };
  const one = await run("shards 7", answers);
  assert.ok(one.lines.includes("range          385 to 448"), one.lines.join("\n"));
  assert.match(one.lines.at(-1) ?? "", /0s +7 +12 +taken_over +pod-a-1 +pod-b-1$/);
  assert.match((await run("moves 7", answers)).lines.at(-1) ?? "", /taken_over/);
  const none = await run("moves", {
    "GET /api/whatsapp/shard-moves": { success: true, moves: [] },
  });
  assert.deepEqual(none.lines, ["No moves in the last 7 days."]);
});

test("each action asks for one thing and says what comes of it", async () => {
  const pinned = { pin: { host: "pod-b", isBinding: true } };
  const cases: [string, string, unknown, Partial<Shard>, RegExp][] = [
    ["pin 7 pod-b", "POST pin", { host: "pod-b" }, pinned, /pinned to pod-b and moves there/],
    [
      "pin 7 pod-x",
      "POST pin",
      { host: "pod-x" },
      { pin: { host: "pod-x", isBinding: false } },
      /no worker lives now/,
    ],
    ["unsplit 7", "DELETE split", undefined, {}, /Nobody waits to split shard 7/],
    ["unmerge 7", "DELETE merge", undefined, {}, /Nobody waits to merge shard 7/],
    ["unpin 7", "DELETE pin", undefined, {}, /free for every worker/],
    ["pause 7", "POST pause", {}, { isPaused: true }, /pod-a-1 closes its connections/],
    ["unpause 7", "POST resume", {}, {}, /no longer paused/],
    [
      "split 7",
      "POST split",
      {},
      { pending: { split: { at: 400, companyId: "m5" }, merge: false } },
      /at m5/,
    ],
    [
      "split 7 m5",
      "POST split",
      { at: "m5" },
      { owner: null },
      /is split; it ends before place 449/,
    ],
  ];
  for (const [words, request, body, changes, said] of cases) {
    const [method = "", action = ""] = request.split(" ");
    const path = `${PATH}/7/${action}`;
    const answers = { [`${method} ${path}`]: { success: true, shard: shard(changes) } };
    const { lines, asked } = await run(words, answers);
    assert.deepEqual(asked, [body === undefined ? { method, path } : { method, path, body }]);
    assert.match(lines.join(" "), said, words);
  }
  for (const text of ["0", "x", "-1", "7.5", "1e3"]) {
    await assert.rejects(run(`merge ${text}`, {}), Refusal, text);
  }
});

test("merge names the shard it takes in, and says that the owner may change", async () => {
  const { range } = shard();
  const list = [shard({ id: 3, range: { ...range, lo: 449, hi: 513 } }), shard()];
  const answers = (merge: boolean) => ({
    [`GET ${PATH}`]: { success: true, shards: list },
    [`POST ${PATH}/7/merge`]: { success: true, shard: shard({ pending: { split: null, merge } }) },
  });
  const { lines, asked } = await run("merge 7", answers(true));
  assert.deepEqual(asked.at(-1), { method: "POST", path: `${PATH}/7/merge`, body: {} });
  assert.match(lines.join(), /takes in shard 3, .* within seconds.*another worker may take it/);
  assert.match((await run("merge 7", answers(false))).lines.join(), /has taken in shard 3/);
});

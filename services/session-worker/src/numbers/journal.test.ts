import assert from "node:assert/strict";
import { it } from "node:test";
import type { OwnedNumber } from "@manyline/db";
import { createFakeClock } from "@manyline/runtime";
import type { WorkerContext } from "./context.ts";
import { NumberJournal } from "./journal.ts";
import type { StatusCommit } from "./status-commits.ts";

/** A number that its owner of epoch 5 takes over, and what it commits. */
function taken(stored: Partial<OwnedNumber>) {
  const commits: StatusCommit[] = [];
  const context = {
    clock: createFakeClock(),
    isQuiet: () => false,
    statusCommits: {
      add: async (commit: StatusCommit) => {
        commits.push(commit);
        return true;
      },
    },
    reports: { event: () => undefined },
  };
  const number = {
    companyNo: 1,
    numberNo: 2,
    companyId: "962302",
    numberId: "num_1",
    provider: "linked",
    phone: null,
    until: null,
    epoch: 5,
    ...stored,
  };
  const journal = new NumberJournal(
    context as unknown as WorkerContext,
    number as OwnedNumber,
    new AbortController().signal,
  );
  return { journal, commits };
}

it("connected is written again by a new owner although its words are the same, once and without an event", async () => {
  const { journal, commits } = taken({ status: "connected", reason: "open", statusEpoch: 4 });
  await journal.note("connected", "open");
  await journal.note("connected", "open");
  assert.deepEqual(
    commits.map(({ fence, change, event }) => [fence.epoch, change?.status, event]),
    [[5, "connected", undefined]],
  );
});

it("what this owner wrote, and what proves no connection, is not written again", async () => {
  const own = taken({ status: "connected", reason: "open", statusEpoch: 5 });
  await own.journal.note("connected", "open");
  const former = taken({ status: "error", reason: "locked", statusEpoch: 4 });
  await former.journal.note("error", "locked");
  assert.deepEqual([own.commits, former.commits], [[], []]);
});

it("after another status of this owner connected is written with its event", async () => {
  const { journal, commits } = taken({ status: "connected", reason: "open", statusEpoch: 4 });
  await journal.note("connecting", "opening");
  await journal.note("connected", "open");
  assert.deepEqual(
    commits.map(({ event }) => event?.envelope.type),
    ["session.connecting", "session.connected"],
  );
});

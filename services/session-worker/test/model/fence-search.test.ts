import assert from "node:assert/strict";
import { test } from "node:test";
import { fenceModel, RULES, type FenceRules } from "./fence-model.ts";
import { describe, search } from "./search.ts";

/** `MODEL_CLAIMS=4` with four statements under way: a few seconds. */
const CLAIMS = Number(process.env["MODEL_CLAIMS"] ?? 3);
const BOUNDS = { workers: 3, claims: CLAIMS, underWay: CLAIMS };

test("no schedule has an accepted write of a stale owner", (t) => {
  const outcome = search(fenceModel(RULES, BOUNDS));
  t.diagnostic(describe("for share", outcome));
  assert.equal(outcome.found, undefined, describe("for share", outcome));
  assert.ok(outcome.states > 10_000, "the model does next to nothing");
});

/** Each weakening alone must be found: a model that cannot fail would prove nothing. */
const WEAKENED: Record<string, Partial<FenceRules>> = {
  "the fence weakened to exists(...)": { check: "exists" },
  "the epoch selected, then the write, in one transaction": { check: "select" },
  "the fence row locked for key share": { check: "for key share" },
  "the credentials read before the fence is raised": { raisesFirst: false },
  "a claim that keeps the epoch": { newEpochs: false },
};

for (const [weakness, rules] of Object.entries(WEAKENED)) {
  test(`${weakness}: a stale write is accepted`, (t) => {
    const outcome = search(fenceModel({ ...RULES, ...rules }, BOUNDS));
    t.diagnostic(describe(weakness, outcome));
    assert.match(outcome.found?.broken ?? "", /was accepted after owner 2 had read/);
  });
}

test("the fence alone carries it: a read that does not ask for the epoch breaks nothing", (t) => {
  const outcome = search(fenceModel({ ...RULES, readChecks: false }, BOUNDS));
  t.diagnostic(describe("read without a check", outcome));
  assert.equal(outcome.found, undefined);
});

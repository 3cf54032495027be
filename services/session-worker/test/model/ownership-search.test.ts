import assert from "node:assert/strict";
import { test } from "node:test";
import { ownershipModel } from "./ownership-model.ts";
import { RULES, type OwnershipBounds, type OwnershipRules } from "./ownership-state.ts";
import { describe, search } from "./search.ts";

/** `MODEL_EPOCHS=4` makes the searches deeper: the one with splits then takes a minute. */
const EPOCHS = Number(process.env["MODEL_EPOCHS"] ?? 3);
const LEASES = { workers: 2, ttlTicks: 3, lagTicks: 1, epochs: EPOCHS, splits: false };
const SPLITS = { workers: 2, ttlTicks: 1, lagTicks: 1, epochs: EPOCHS, splits: true };

const SAFE: Record<string, OwnershipBounds> = {
  "two workers": LEASES,
  "three workers": { ...LEASES, workers: 3, ttlTicks: 2 },
  "splits and merges": SPLITS,
};

for (const [name, bounds] of Object.entries(SAFE)) {
  test(`${name}: one worker at most may send, and epochs grow`, (t) => {
    const outcome = search(ownershipModel(RULES, bounds));
    t.diagnostic(describe(name, outcome));
    assert.equal(outcome.found, undefined, describe(name, outcome));
    assert.ok(outcome.states > 5_000, "the model does next to nothing");
  });
}

const SENDS = /may both send for the (lower|upper) number$/;
const EPOCH = /that was owned under epoch 1 is claimed under epoch 1$/;

/** Each rule alone is needed: without it the search finds a schedule. */
const BROKEN: [string, Partial<OwnershipRules>, OwnershipBounds, RegExp][] = [
  ["released without closing", { closesFirst: false }, LEASES, SENDS],
  ["split without closing", { closesFirst: false }, SPLITS, SENDS],
  ["a deadline counted from the answer", { countsFromSending: false }, LEASES, SENDS],
  ["no margin for a slow clock", { marginTicks: 0 }, LEASES, SENDS],
  ["a late release that names no epoch", { namesEpochs: false }, LEASES, SENDS],
  ["a claim that keeps the epoch", { newEpochs: false }, LEASES, EPOCH],
  ["a shard split off with epoch 0", { splitKeepsEpoch: false }, SPLITS, EPOCH],
  ["a merged shard with the lower one's epoch", { mergeTakesGreater: false }, SPLITS, EPOCH],
  ["an operator who splits an expired lease", { operatorWaits: false }, SPLITS, SENDS],
  ["a half opened again after a split without answer", { staysClosed: false }, SPLITS, SENDS],
  ["a claim on top of what is held", { claimLetsGo: false }, SPLITS, SENDS],
  ["a stray that is opened", { opensOnlyHeld: false }, LEASES, SENDS],
];

for (const [weakness, rules, bounds, broken] of BROKEN) {
  test(`${weakness}: found`, (t) => {
    const outcome = search(ownershipModel({ ...RULES, ...rules }, bounds));
    t.diagnostic(describe(weakness, outcome));
    assert.match(outcome.found?.broken ?? "", broken);
  });
}

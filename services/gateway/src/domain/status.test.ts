import assert from "node:assert/strict";
import { test } from "node:test";
import { deriveStatus, healthScore } from "./status.ts";
import type { StatusFacts } from "./status.ts";

const now = new Date("2026-03-01T12:00:00.000Z");
const earlier = new Date("2026-03-01T11:00:00.000Z");
const later = new Date("2026-03-01T12:20:00.000Z");

function facts(change: Partial<StatusFacts>): StatusFacts {
  return {
    provider: "linked",
    status: "disconnected",
    reason: "not_linked",
    since: earlier,
    until: null,
    isOwnersWord: true,
    isLinked: false,
    hasOwner: true,
    ownerSince: earlier,
    ownerlessSince: null,
    blockedUntil: null,
    now,
    ...change,
  };
}

const connected = { status: "connected", reason: "open", isLinked: true } as const;

test("connected wins over the company's block", () => {
  const seen = deriveStatus(facts({ ...connected, blockedUntil: later }));
  assert.deepEqual(seen, {
    status: "connected",
    reason: "open",
    since: earlier,
    until: null,
    nextAction: "none",
  });
});

test("connected is not believed of an owner whose lease is over", () => {
  const seen = deriveStatus(facts({ ...connected, hasOwner: false, isOwnersWord: false }));
  assert.equal(seen.status, "disconnected");
  assert.equal(seen.reason, "no_owner");
  assert.equal(seen.nextAction, "wait");
});

test("connected that a former owner stored is being opened, since the present one took the shard", () => {
  const taken = new Date(earlier.getTime() + 60_000);
  const former = { ...connected, isOwnersWord: false };
  assert.deepEqual(deriveStatus(facts({ ...former, ownerSince: taken })), {
    status: "connecting",
    reason: "opening",
    since: taken,
    until: null,
    nextAction: "none",
  });
  const blocked = deriveStatus(facts({ ...former, isLinked: false, blockedUntil: later }));
  assert.equal(blocked.status, "blocked");
  const stopped = deriveStatus(facts({ status: "error", reason: "locked", isOwnersWord: false }));
  assert.equal(stopped.reason, "locked", "only connected has to be proven");
});

test("blocked: the cooldown lies ahead and the linked number has no credentials", () => {
  const seen = deriveStatus(facts({ blockedUntil: later }));
  assert.equal(seen.status, "blocked");
  assert.equal(seen.reason, "rate_limited");
  assert.deepEqual(seen.until, later);
  assert.equal(seen.nextAction, "wait");
});

test("blocked comes before no_owner", () => {
  assert.equal(deriveStatus(facts({ blockedUntil: later, hasOwner: false })).status, "blocked");
});

test("a number with credentials is not blocked by its company's cooldown", () => {
  const seen = deriveStatus(
    facts({
      status: "connecting",
      reason: "reconnecting",
      isLinked: true,
      blockedUntil: later,
    }),
  );
  assert.equal(seen.reason, "reconnecting");
});

test("a number of another provider is never blocked", () => {
  const seen = deriveStatus(facts({ provider: "meta", blockedUntil: later }));
  assert.equal(seen.status, "disconnected");
});

test("a cooldown that is over blocks nothing, even where its end was not stored yet", () => {
  assert.equal(deriveStatus(facts({ blockedUntil: earlier })).reason, "not_linked");
  assert.equal(deriveStatus(facts({ blockedUntil: now })).reason, "not_linked");
  const stale = deriveStatus(
    facts({ status: "blocked", reason: "rate_limited", until: earlier, blockedUntil: earlier }),
  );
  assert.equal(stale.status, "disconnected");
  assert.equal(stale.reason, "not_linked");
  assert.deepEqual(stale.since, earlier);
});

test("no live lease: disconnected/no_owner, whatever is stored", () => {
  for (const status of ["connecting", "disconnected", "error"] as const) {
    const seen = deriveStatus(facts({ status, reason: "locked", hasOwner: false }));
    assert.equal(seen.status, "disconnected");
    assert.equal(seen.reason, "no_owner");
  }
});

test("no_owner is since the later of the two: the owner was lost, or the number was stored so", () => {
  const former = { ...connected, hasOwner: false, isOwnersWord: false };
  const lost = new Date("2026-03-01T11:59:00.000Z");
  const longAgo = new Date("2026-01-01T00:00:00.000Z");
  const sinceOf = (change: Partial<StatusFacts>): Date =>
    deriveStatus(facts({ ...former, ...change })).since;
  assert.deepEqual(sinceOf({ ownerlessSince: lost }), lost);
  assert.deepEqual(sinceOf({ ownerlessSince: longAgo }), earlier);
  assert.deepEqual(sinceOf({ ownerlessSince: null }), earlier);
});

test("otherwise what is stored, with its end", () => {
  const seen = deriveStatus(
    facts({ status: "error", reason: "temp_ban", until: later, isLinked: true }),
  );
  assert.deepEqual(seen, {
    status: "error",
    reason: "temp_ban",
    since: earlier,
    until: later,
    nextAction: "wait",
  });
});

test("health score", () => {
  assert.equal(healthScore(0, true), 100);
  assert.equal(healthScore(2, true), 80);
  assert.equal(healthScore(99, false), 10);
});

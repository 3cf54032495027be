import assert from "node:assert/strict";
import { test } from "node:test";
import { announcementOf, spelled } from "./announce.ts";
import { after, attempt, codeAttempt, events, from } from "./testing.ts";

test("a QR is announced by its number; a rotated secret is no news", () => {
  const empty = after(events.snapshot());
  const first = from(empty, events.qr(1, 0, 60));
  assert.deepEqual(announcementOf(empty, first), { region: "polite", kind: "qr", k: 1, max: 3 });
  assert.equal(announcementOf(first, from(first, events.qr(1, 0, 60, "2@rotated"))), undefined);
  assert.equal(announcementOf(first, from(first, 10)), undefined, "the countdown is not read out");
  const second = from(first, events.qr(2, 60, 20));
  assert.equal(announcementOf(first, second)?.kind, "qr");
});

test("a code is announced once, then half and soon", () => {
  const empty = after(events.snapshot());
  const shown = from(empty, events.snapshot({ attempt: codeAttempt() }));
  const told = announcementOf(empty, shown);
  assert.deepEqual(told, {
    region: "polite",
    kind: "code",
    code: "K7WM-3XQP",
    seconds: 60,
    isSwitched: false,
  });
  const at = (seconds: number) => from(shown, seconds);
  assert.equal(announcementOf(at(0), at(1)), undefined);
  assert.equal(announcementOf(at(29), at(30))?.kind, "half");
  assert.equal(announcementOf(at(30), at(31)), undefined);
  assert.equal(announcementOf(at(49), at(50))?.kind, "soon");
  assert.deepEqual(announcementOf(at(59), at(60)), {
    region: "alert",
    kind: "screen",
    screen: "expired",
  });
});

test("screens that come by themselves are announced, trouble at once", () => {
  const state = after(events.snapshot({ attempt: attempt() }));
  const linking = from(state, {
    type: "pairing.linking",
    data: { attemptId: state.attempt?.id ?? "" },
  });
  assert.deepEqual(announcementOf(state, linking), {
    region: "polite",
    kind: "screen",
    screen: "linking",
  });
  const ended = from(state, { type: "link", state: "ended" });
  assert.equal(announcementOf(state, ended)?.region, "alert");
});

test("a code is spelled without its dash", () => {
  assert.equal(spelled("K7WM-3XQP"), "K, 7, W, M, 3, X, Q, P");
});

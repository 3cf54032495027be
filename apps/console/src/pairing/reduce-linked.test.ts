/** The rest of the state table: a server that is away, and a number that is linked. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { screenOf, wantsQr } from "./screen.ts";
import {
  FIRST,
  PHONE,
  SECOND,
  T0,
  after,
  attempt,
  codeAttempt,
  events,
  from,
  iso,
} from "./testing.ts";

const { snapshot, session, refused } = events;
const askCode = { type: "ask-code", phone: `+${PHONE}` } as const;
const abandoned = (id: string, reason: "unwatched" | "replaced" | "cancelled" | "unused") =>
  ({ type: "pairing.abandoned", data: { attemptId: id, reason } }) as const;
const tabCode = { type: "choose-tab", tab: "code" } as const;
const liveCode = () => after(snapshot({ attempt: codeAttempt() }));

describe("unreachable", () => {
  const lost = { type: "lost", why: "network", nextTryAt: T0 + 4_000 } as const;

  it("until the first success", () => {
    assert.equal(screenOf(after(lost)), "unreachable");
    assert.equal(screenOf(after(lost, snapshot())), "qr-preparing");
    assert.equal(screenOf(after(snapshot(), tabCode, lost, snapshot())), "entry");
  });

  it("a shown code or QR is kept until its end", () => {
    const withCode = from(liveCode(), lost);
    assert.deepEqual([screenOf(withCode), screenOf(from(withCode, 60))], ["code", "unreachable"]);
    const withQr = after(snapshot({ attempt: attempt() }), lost);
    assert.deepEqual([screenOf(withQr), screenOf(from(withQr, 60))], ["qr", "unreachable"]);
  });

  it("no worker has the number", () => {
    assert.equal(screenOf(after(snapshot({ reason: "no_owner" }))), "unreachable");
  });
});

describe("linked", () => {
  const succeeded = (isOther: boolean) =>
    ({
      type: "pairing.succeeded",
      data: { attemptId: FIRST, method: "code", phone: PHONE, otherPhone: isOther },
    }) as const;

  it("linking until the connection is open; too long is WhatsApp's silence", () => {
    const state = from(liveCode(), 20, succeeded(false), session("connecting", "opening"));
    assert.equal(screenOf(state), "linking");
    assert.equal(screenOf(from(state, 51)), "unreachable");
    assert.equal(screenOf(from(state, 51, session("connected", "open"))), "connected");
  });

  it("connected, and the phone is another one than was stored", () => {
    const state = from(liveCode(), succeeded(true), session("connected", "open"));
    assert.deepEqual([screenOf(state), state.otherPhone], ["connected", PHONE]);
    assert.equal(
      screenOf(from(state, { type: "lost", why: "offline", nextTryAt: 0 })),
      "connected",
    );
  });

  it("connected, although the events were missed", () => {
    const done = codeAttempt({ state: "ended", outcome: "succeeded" });
    const missed = snapshot({ status: "connected", reason: "open", attempt: done });
    assert.equal(screenOf(from(liveCode(), missed)), "connected");
    const opening = snapshot({
      status: "connecting",
      reason: "opening",
      since: iso(0),
      attempt: done,
    });
    assert.equal(screenOf(after(opening)), "linking", "also for a page that was just opened");
  });

  it("already: by status, or by the answer to a request", () => {
    assert.equal(screenOf(after(snapshot({ status: "connected", reason: "open" }))), "already");
    const asked = after(snapshot(), askCode, refused("code", "ALREADY_CONNECTED"));
    const state = from(asked, snapshot({ status: "connected", reason: "open" }));
    assert.equal(screenOf(state), "already");
  });

  it("already: reconnecting shows its progress until the new connection", () => {
    const state = after(snapshot({ status: "connected", reason: "open" }), { type: "reconnect" });
    const between = from(state, session("connecting", "reconnecting"));
    assert.deepEqual([screenOf(between), between.work?.kind], ["already", "reconnecting"]);
    const done = from(between, session("connected", "open"));
    assert.deepEqual([screenOf(done), done.work], ["already", undefined]);
    assert.equal(from(state, 31).work, undefined, "it does not wait for ever");
  });

  it("already: unlinking asks first, then waits for a person to link again", () => {
    const state = after(snapshot({ status: "connected", reason: "open" }), { type: "ask-unlink" });
    assert.ok(state.isUnlinkAsked);
    assert.ok(!from(state, { type: "keep-linked" }).isUnlinkAsked);
    const gone = from(state, { type: "unlink" }, session("disconnected", "unlinked"));
    assert.deepEqual([screenOf(gone), gone.isUnlinkedHere], ["qr-ask", true]);
    assert.ok(!wantsQr(gone, true));
  });

  it("down: linked without a connection, no QR is started", () => {
    for (const reason of ["reconnecting", "replaced", "locked", "temp_ban"] as const) {
      const state = after(snapshot({ status: "error", reason }));
      assert.equal(screenOf(state), "down");
      assert.ok(!wantsQr(state, true));
    }
  });

  it("logged out on the phone: the tabs again", () => {
    const open = after(snapshot({ status: "connected", reason: "open" }));
    const state = from(open, session("disconnected", "logged_out"));
    assert.equal(screenOf(state), "qr-ask");
    assert.equal(screenOf(after(snapshot({ reason: "logged_out" }))), "qr-preparing");
  });
});

describe("other attempts", () => {
  it("their ends change nothing here", () => {
    const state = from(liveCode(), abandoned(SECOND, "unused"), {
      type: "pairing.failed",
      data: { attemptId: SECOND, code: "INTERNAL" },
    });
    assert.equal(screenOf(state), "code");
  });
});

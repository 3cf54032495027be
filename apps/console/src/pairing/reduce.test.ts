/** One test for each row of the state table: how the page gets there, and how it leaves. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { screenOf, wantsQr } from "./screen.ts";
import {
  FIRST,
  PHONE,
  SECOND,
  T0,
  after,
  answer,
  attempt,
  codeAttempt,
  events,
  from,
  iso,
  onPhone,
} from "./testing.ts";
import { wireOf } from "./wire.ts";

const { snapshot, qr, code, session, refused } = events;
const askCode = { type: "ask-code", phone: `+${PHONE}` } as const;
const started = (id: string, method: "qr" | "code") =>
  ({ type: "pairing.started", data: { attemptId: id, method, phone: null } }) as const;
const abandoned = (id: string, reason: "unwatched" | "replaced" | "cancelled" | "unused") =>
  ({ type: "pairing.abandoned", data: { attemptId: id, reason } }) as const;
const failed = (
  why: "WHATSAPP_REFUSED" | "PHONE_NOT_ON_WHATSAPP" | "PASSKEY_REQUIRED" | "INTERNAL",
) => ({ type: "pairing.failed", data: { attemptId: FIRST, code: why } }) as const;
const tabCode = { type: "choose-tab", tab: "code" } as const;
const liveCode = () => after(snapshot({ attempt: codeAttempt() }));

describe("link", () => {
  it("is invalid, missing, or ended while open", () => {
    for (const link of ["invalid", "missing", "ended"] as const) {
      const state = after({ type: "link", state: link });
      assert.equal(screenOf(state), `link-${link}`);
      assert.equal(wireOf(screenOf(state)), undefined);
    }
    const ended = after(snapshot(), tabCode, askCode, refused("code", "UNAUTHORIZED", 401));
    assert.equal(screenOf(ended), "link-ended");
  });
});

describe("loading", () => {
  it("lasts until the first answer", () => {
    assert.equal(screenOf(after(3)), "loading");
    assert.equal(screenOf(after(3, snapshot())), "qr-preparing");
  });
});

describe("the QR tab", () => {
  it("starts an attempt once, for a person who looks", () => {
    const state = after(snapshot());
    assert.ok(wantsQr(state, true));
    assert.ok(!wantsQr(state, false), "a hidden page burns no QR");
    assert.ok(!wantsQr(from(state, { type: "qr-requested" }), true));
  });

  it("on a touch phone the code tab is first, and a QR waits for a wish", () => {
    const state = onPhone(snapshot());
    assert.equal(screenOf(state), "entry");
    assert.equal(screenOf(from(state, { type: "choose-tab", tab: "qr" })), "qr-ask");
    const wished = from(state, { type: "show-qr" });
    assert.equal(screenOf(wished), "qr-preparing");
    assert.ok(wantsQr(wished, true));
  });

  it("qr-preparing until the first QR", () => {
    const state = after(snapshot(), { type: "qr-requested" }, started(FIRST, "qr"));
    assert.equal(screenOf(state), "qr-preparing");
    assert.equal(screenOf(from(state, qr(1, 0, 60))), "qr");
  });

  it("qr: the next one replaces it in place, a rotated secret too", () => {
    const first = after(snapshot(), started(FIRST, "qr"), qr(1, 0, 60));
    const rotated = from(first, 5, qr(1, 0, 60, "2@rotated"));
    assert.deepEqual([rotated.attempt?.k, rotated.attempt?.qr], [1, "2@rotated"]);
    const second = from(rotated, 60, qr(2, 60, 20));
    assert.deepEqual([screenOf(second), second.attempt?.qr], ["qr", "2@2"]);
    assert.equal(screenOf(from(first, 64)), "qr-preparing", "an old picture is not left");
  });

  it("qr-last is the third", () => {
    assert.equal(screenOf(after(snapshot(), qr(3, 0, 20))), "qr-last");
  });

  it("a reload resumes the server's attempt", () => {
    const state = after(snapshot({ attempt: attempt({ k: 2 }) }));
    assert.equal(screenOf(state), "qr");
    assert.ok(!wantsQr(state, true));
  });

  it("after an end without a person it asks instead of burning on", () => {
    for (const reason of ["unwatched", "unused"] as const) {
      const state = after(snapshot({ attempt: attempt() }), abandoned(FIRST, reason));
      assert.equal(screenOf(state), "qr-ask");
      assert.ok(state.hasQrEnded && !wantsQr(state, true));
      const again = from(state, { type: "show-qr" });
      assert.ok(wantsQr(again, true) && !again.hasQrEnded);
    }
  });

  it("an attempt that ended while the page did not listen is told", () => {
    const gone = attempt({ state: "ended", outcome: "abandoned" });
    const state = after(snapshot({ attempt: attempt() }), snapshot({ attempt: gone }));
    assert.equal(screenOf(state), "qr-ask");
    assert.equal(screenOf(after(snapshot({ attempt: gone }))), "qr-preparing", "an old end is not");
  });
});

describe("switched", () => {
  it("moves to the code tab by itself; the focus stays", () => {
    const exhausted = {
      type: "pairing.qr_exhausted",
      data: { attemptId: FIRST, k: 3, switchedTo: "code" },
    } as const;
    const working = after(snapshot({ attempt: attempt({ k: 3 }) }), exhausted);
    assert.deepEqual([screenOf(working), working.tab], ["switching", "code"]);
    assert.equal(working.attempt?.phone, PHONE);
    const shown = from(working, code(FIRST, 0, true));
    assert.equal(screenOf(shown), "switched");
    assert.equal(shown.focusCount, 0);
    const other = from(working, started(SECOND, "code"), code(SECOND, 0, true));
    assert.equal(screenOf(other), "switched", "the code may be an attempt of its own");
  });

  it("phone-missing: above the empty form", () => {
    const missing = { type: "company.phone_missing", data: { numberId: "num_1" } } as const;
    const state = after(snapshot({ attempt: attempt({ k: 3 }) }), missing);
    assert.deepEqual([screenOf(state), state.tab], ["phone-missing", "code"]);
    const company = { ...answer().company, phone: null };
    const exhausted = {
      type: "pairing.qr_exhausted",
      data: { attemptId: FIRST, k: 3, switchedTo: null },
    } as const;
    const later = after(snapshot({ company, attempt: attempt({ k: 3 }) }), exhausted);
    assert.equal(
      screenOf(later),
      "phone-missing",
      "the event comes only once, the page may be new",
    );
  });
});

describe("the code tab", () => {
  it("entry, and requesting when sent", () => {
    const entry = after(snapshot(), tabCode);
    assert.equal(screenOf(entry), "entry");
    assert.equal(screenOf(from(entry, askCode)), "requesting");
    assert.equal(wireOf("requesting"), "live");
  });

  it("entry-error: what the gateway refuses, until it is edited", () => {
    const cases = [
      ["INVALID_PHONE_FORMAT", "invalid"],
      ["PHONE_REQUIRED", "empty"],
      ["PHONE_ALREADY_LINKED", "alreadyLinked"],
    ] as const;
    for (const [why, field] of cases) {
      const state = after(snapshot(), tabCode, askCode, refused("code", why, 400));
      assert.deepEqual([screenOf(state), state.fieldError], ["entry-error", field]);
      assert.equal(state.focusCount, 1, "the field has the focus");
      assert.equal(screenOf(from(state, { type: "edit-phone" })), "entry");
    }
  });

  it("requesting: another request is joined", () => {
    const state = after(snapshot(), askCode, refused("code", "REQUEST_IN_PROGRESS"));
    assert.equal(screenOf(state), "requesting");
    assert.ok(state.request?.isJoined);
    assert.equal(screenOf(from(state, code(FIRST))), "code");
  });

  it("code: answer and event tell the same, in either order", () => {
    const told = {
      type: "code-answer",
      answer: {
        success: true,
        companyId: "962302",
        pairingCode: "K7WM-3XQP",
        code: "K7WM-3XQP",
        expiresIn: "60 seconds",
        expiresInSeconds: 60,
        expiresAt: iso(60),
        serverTime: iso(0),
        attemptId: FIRST,
        phoneNumber: PHONE,
        codesLeft: 4,
      },
    } as const;
    for (const order of [
      [told, code(FIRST)],
      [code(FIRST), told],
    ]) {
      const state = after(snapshot(), askCode, started(FIRST, "code"), ...order);
      assert.equal(screenOf(state), "code");
      assert.deepEqual([state.attempt?.code, state.facts?.codesLeft], ["K7WM-3XQP", 4]);
      assert.equal(state.focusCount, 1, "the person asked: its heading has the focus, once");
    }
  });

  it("code-ending in the last ten seconds, expired at the end", () => {
    const state = liveCode();
    assert.equal(screenOf(from(state, 49)), "code");
    assert.equal(screenOf(from(state, 50)), "code-ending");
    assert.equal(screenOf(from(state, 60)), "expired");
    const told = from(state, 60, {
      type: "pairing.code_expired",
      data: { attemptId: FIRST, codesLeft: 3 },
    });
    assert.deepEqual([screenOf(told), told.facts?.codesLeft], ["expired", 3]);
    assert.equal(screenOf(from(told, abandoned(FIRST, "unused"))), "expired");
    assert.equal(screenOf(from(told, askCode)), "requesting");
    assert.equal(screenOf(from(told, { type: "show-qr" })), "qr-preparing");
  });

  it("expired: a late phone still links", () => {
    const state = from(liveCode(), 70, { type: "pairing.linking", data: { attemptId: FIRST } });
    assert.equal(screenOf(state), "linking");
  });

  it("another number: the form, although the code still lives", () => {
    const state = from(liveCode(), { type: "change-number" });
    assert.deepEqual([screenOf(state), state.focusCount], ["entry", 1]);
    assert.equal(
      screenOf(from(state, code(FIRST))),
      "entry",
      "a repeated event brings nothing back",
    );
    const next = from(state, askCode, abandoned(FIRST, "replaced"), started(SECOND, "code"));
    assert.equal(screenOf(from(next, code(SECOND))), "code");
  });

  it("wait: until the pause is over, then the form without a reload", () => {
    const until = T0 + 1_421_000;
    const state = after(snapshot(), askCode, refused("code", "RATE_LIMITED", 429, { until }));
    assert.equal(screenOf(state), "wait");
    const byHeader = refused("code", "RATE_LIMITED", 429, { retryAfterSeconds: 90 });
    assert.equal(after(snapshot(), askCode, byHeader).blockedUntil, T0 + 90_000);
    const over = from(state, 1_422);
    assert.deepEqual([screenOf(over), over.isWaitOver], ["entry", true]);
  });

  it("wait: from the status, an event, or a session that is blocked", () => {
    assert.equal(screenOf(after(snapshot({ blockedUntil: iso(600) }))), "wait");
    const limited = {
      type: "pairing.rate_limited",
      data: { scope: "company", until: iso(600), minutes: 10 },
    } as const;
    assert.equal(screenOf(after(snapshot(), tabCode, limited)), "wait");
    const blocked = session("blocked", "rate_limited", iso(600));
    assert.equal(screenOf(after(snapshot(), tabCode, blocked)), "wait");
  });
});

describe("what WhatsApp refuses", () => {
  it("whatsapp-wait, by answer, event and status", () => {
    const asked = after(snapshot(), askCode);
    const byAnswer = from(asked, refused("code", "WHATSAPP_REFUSED", 502));
    assert.equal(screenOf(byAnswer), "whatsapp-wait");
    const byEvent = from(asked, started(FIRST, "code"), failed("WHATSAPP_REFUSED"));
    assert.equal(screenOf(byEvent), "whatsapp-wait");
    const byStatus = after(snapshot({ status: "error", reason: "linking_refused" }));
    assert.equal(screenOf(byStatus), "whatsapp-wait");
    assert.ok(!wantsQr(byStatus, true), "no automatic retry");
    assert.equal(screenOf(from(byStatus, { type: "change-number" })), "entry");
  });

  it("passkey, by either way of linking", () => {
    const passkey = {
      type: "pairing.passkey_required",
      data: { attemptId: FIRST, expiresAt: iso(60), options: {} },
    } as const;
    assert.equal(screenOf(from(liveCode(), passkey)), "passkey");
    assert.equal(screenOf(from(liveCode(), passkey, failed("PASSKEY_REQUIRED"))), "passkey");
    const byQr = after(snapshot({ attempt: attempt() }), passkey);
    assert.equal(screenOf(byQr), "passkey");
    assert.equal(screenOf(from(byQr, { type: "change-number" })), "entry");
    const byAnswer = after(snapshot(), askCode, refused("code", "PASSKEY_REQUIRED", 422));
    assert.equal(screenOf(byAnswer), "passkey");
  });

  it("not-on-whatsapp: above the form, the number is kept", () => {
    const byAnswer = after(snapshot(), askCode, refused("code", "PHONE_NOT_ON_WHATSAPP", 422));
    const byEvent = from(liveCode(), failed("PHONE_NOT_ON_WHATSAPP"));
    for (const state of [byAnswer, byEvent]) {
      assert.equal(screenOf(state), "not-on-whatsapp");
      assert.deepEqual(state.outcome, { kind: "not-on-whatsapp", phone: PHONE });
      assert.equal(screenOf(from(state, askCode)), "requesting");
    }
  });

  it("failed: no code, or a QR that did not work out", () => {
    for (const why of ["PAIRING_CODE_FAILED", "COMMAND_TIMEOUT"]) {
      const state = after(snapshot(), askCode, refused("code", why, 502));
      assert.deepEqual([screenOf(state), state.tab], ["failed", "code"]);
      assert.equal(screenOf(from(state, { type: "choose-tab", tab: "qr" })), "qr-preparing");
    }
    const byQr = after(snapshot({ attempt: attempt() }), failed("INTERNAL"));
    assert.deepEqual([screenOf(byQr), byQr.tab], ["failed", "qr"]);
    assert.ok(wantsQr(from(byQr, { type: "show-qr" }), true));
  });

  it("refused: what repeating cannot help", () => {
    const off = after(snapshot(), refused("qr", "COMPANY_DISABLED"));
    assert.deepEqual(off.outcome, { kind: "refused", why: "off", reference: "req_1" });
    const other = after(snapshot(), refused("qr", "PROVIDER_NOT_SUPPORTED", 501));
    assert.equal(screenOf(other), "refused");
    assert.equal(screenOf(after(snapshot({ reason: "switched_off" }))), "refused");
  });
});

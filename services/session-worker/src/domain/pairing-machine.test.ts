import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Phone } from "@manyline/contracts";
import {
  answerCodeRequest,
  answerQrRequest,
  newAttempt,
  step,
  type Attempt,
  type PairingInput,
} from "./pairing-machine.ts";

const FIGURES = {
  qrLifeMs: [60, 20, 20],
  maxQr: 3,
  codeValidityMs: 60,
  codeGraceMs: 30,
  linkingMs: 60,
  maxDrops: 5,
};
const PHONE = "79001234567" as Phone;
const OTHER = "79007654321" as Phone;

/** Runs inputs one after another; answers the last attempt and all effects, told in short words. */
function run(attempt: Attempt, ...inputs: PairingInput[]): { attempt: Attempt; said: string[] } {
  const said: string[] = [];
  let current = attempt;
  for (const input of inputs) {
    const next = step(current, input, FIGURES);
    current = next.attempt;
    for (const effect of next.effects) {
      if (effect.kind === "show_qr") {
        said.push(effect.redraw ? "redraw" : `qr ${current.k} for ${effect.lifeMs}`);
      } else if (effect.kind === "set_timer") said.push(`${effect.timer} timer ${effect.ms}`);
      else if (effect.kind === "qr_exhausted") said.push(`exhausted → ${effect.switchedTo}`);
      else if (effect.kind === "ended") {
        said.push(
          `ended ${effect.outcome}${effect.errorCode === null ? "" : ` ${effect.errorCode}`}`,
        );
      } else said.push(effect.kind);
    }
  }
  return { attempt: current, said };
}
const ready: PairingInput = { kind: "ready", watched: true };
const tick = (
  timer: "qr" | "code" | "grace" | "linking" | "passkey",
  watched = true,
): PairingInput => ({
  kind: "timer",
  timer,
  watched,
});

describe("a QR attempt", () => {
  it("shows three QRs for 60, 20 and 20, then switches to a code, once", () => {
    const { attempt, said } = run(
      newAttempt("qr", PHONE),
      ready,
      tick("qr"),
      tick("qr"),
      tick("qr"),
    );
    assert.deepEqual(said, [
      "clear_timers",
      "qr 1 for 60",
      "qr timer 60",
      "clear_timers",
      "qr 2 for 20",
      "qr timer 20",
      "clear_timers",
      "qr 3 for 20",
      "qr timer 20",
      "clear_timers",
      "exhausted → code",
      "ask_code",
    ]);
    assert.equal(attempt.state, "requesting");
    assert.equal(attempt.method, "code");
    assert.equal(attempt.switched, true);
    const later = run(attempt, { kind: "code_accepted" }, tick("qr"), tick("code"), tick("grace"));
    assert.equal(later.said.filter((one) => one.startsWith("exhausted")).length, 0);
    assert.equal(later.attempt.outcome, "unused");
  });

  it("asks for the phone when none is known", () => {
    const { attempt, said } = run(
      newAttempt("qr", null),
      ready,
      tick("qr"),
      tick("qr"),
      tick("qr"),
    );
    assert.deepEqual(said.slice(-4), [
      "exhausted → null",
      "phone_missing",
      "clear_timers",
      "ended unused",
    ]);
    assert.equal(attempt.state, "ended");
  });

  it("ends abandoned, without a switch, when nobody watches", () => {
    const exhausted = run(
      newAttempt("qr", PHONE),
      ready,
      tick("qr"),
      tick("qr"),
      tick("qr", false),
    );
    assert.equal(exhausted.attempt.outcome, "abandoned");
    assert.equal(exhausted.attempt.switched, false);
    assert.equal(
      run(newAttempt("qr", PHONE), ready, { kind: "unwatched" }).attempt.outcome,
      "abandoned",
    );
  });

  it("redraws a rotated secret without counting or moving the clock", () => {
    const { attempt, said } = run(
      newAttempt("qr", PHONE),
      ready,
      { kind: "rotated" },
      { kind: "rotated" },
    );
    assert.deepEqual(said.slice(3), ["redraw", "redraw"]);
    assert.equal(attempt.k, 1);
  });

  it("goes on counting on another socket", () => {
    const dropped = run(newAttempt("qr", PHONE), ready, tick("qr"), {
      kind: "closed",
      canReopen: true,
      errorCode: "PAIRING_CODE_FAILED",
    });
    assert.equal(dropped.said.at(-1), "reopen");
    assert.equal(dropped.attempt.state, "starting");
    assert.equal(run(dropped.attempt, ready).attempt.k, 3);
    const third = run(dropped.attempt, ready, {
      kind: "closed",
      canReopen: true,
      errorCode: "PAIRING_CODE_FAILED",
    });
    assert.deepEqual(run(third.attempt, ready).said, [
      "clear_timers",
      "exhausted → code",
      "ask_code",
    ]);
  });

  it("gives up after five drops in a row", () => {
    const drop: PairingInput = {
      kind: "closed",
      canReopen: true,
      errorCode: "PAIRING_CODE_FAILED",
    };
    const { attempt, said } = run(newAttempt("qr", PHONE), drop, drop, drop, drop, drop);
    assert.equal(said.filter((one) => one === "reopen").length, 4);
    assert.equal(attempt.errorCode, "PAIRING_CODE_FAILED");
  });
});

describe("a code attempt", () => {
  const shown = () => run(newAttempt("code", PHONE), ready, { kind: "code_accepted" });

  it("asks when WhatsApp is ready and shows only what was accepted", () => {
    assert.deepEqual(run(newAttempt("code", PHONE), ready).said, ["ask_code"]);
    assert.deepEqual(shown().said, ["ask_code", "code_issued", "code timer 60"]);
    const refused = run(newAttempt("code", PHONE), ready, {
      kind: "code_refused",
      errorCode: "WHATSAPP_REFUSED",
    });
    assert.deepEqual(refused.said.slice(1), ["clear_timers", "ended failed WHATSAPP_REFUSED"]);
  });

  it("expires after 60, and lives 30 more for a code typed late", () => {
    const expired = run(shown().attempt, tick("code"));
    assert.deepEqual(expired.said, ["code_expired", "grace timer 30"]);
    const late = run(expired.attempt, { kind: "phone_answered" });
    assert.deepEqual(late.said, ["linking", "linking timer 60"]);
    assert.equal(run(late.attempt, { kind: "paired" }).attempt.outcome, "succeeded");
    assert.equal(run(expired.attempt, tick("grace")).attempt.outcome, "unused");
  });

  it("stays shown when the phone answers, since a mistyped code answers too", () => {
    const answered = run(shown().attempt, { kind: "phone_answered" });
    assert.equal(answered.attempt.state, "code");
    const over = run(answered.attempt, tick("code"));
    assert.deepEqual(over.said, ["linking"]);
    assert.equal(over.attempt.state, "linking");
    assert.equal(run(over.attempt, tick("grace")).attempt.state, "linking");
    assert.deepEqual(run(over.attempt, tick("linking")).said, [
      "clear_timers",
      "ended failed PAIRING_CODE_FAILED",
    ]);
  });

  it("does not reconnect while a code lives: the code died with its socket", () => {
    const closed = run(shown().attempt, {
      kind: "closed",
      canReopen: true,
      errorCode: "PAIRING_CODE_FAILED",
    });
    assert.deepEqual(closed.said, ["clear_timers", "ended failed PAIRING_CODE_FAILED"]);
  });

  it("is retired by WhatsApp's refresh_code like an expired one", () => {
    assert.deepEqual(run(shown().attempt, { kind: "code_retired" }).said, [
      "code_expired",
      "grace timer 30",
    ]);
  });

  it("is not shortened by nobody watching: it may be in a mail", () => {
    assert.equal(run(shown().attempt, { kind: "unwatched" }).attempt.state, "code");
  });
});

describe("a passkey", () => {
  it("parks the attempt and loops back into nothing", () => {
    const { attempt, said } = run(newAttempt("qr", PHONE), ready, {
      kind: "passkey",
      expiresInMs: 600,
    });
    assert.deepEqual(said.slice(3), ["clear_timers", "passkey_required", "passkey timer 600"]);
    assert.deepEqual(run(attempt, tick("qr"), { kind: "rotated" }, { kind: "unwatched" }).said, []);
    assert.equal(run(attempt, tick("passkey")).attempt.errorCode, "PASSKEY_REQUIRED");
  });
});

describe("requests while an attempt lives", () => {
  const qr = run(newAttempt("qr", null), ready).attempt;
  const requesting = run(newAttempt("code", PHONE), ready).attempt;
  const code = run(requesting, { kind: "code_accepted" }).attempt;
  const answered = run(code, { kind: "phone_answered" }).attempt;
  const expired = run(code, tick("code")).attempt;
  const linking = run(expired, { kind: "phone_answered" }).attempt;

  for (const [name, attempt, same, other, again] of [
    ["qr", qr, "replace", "replace", "join"],
    ["requesting", requesting, "join", "refuse", "join"],
    ["code", code, "join", "replace", "join"],
    ["code, answered", answered, "join", "refuse", "join"],
    ["code_expired", expired, "replace", "replace", "replace"],
    ["linking", linking, "refuse", "refuse", "join"],
  ] as const) {
    it(`${name}: same phone ${same}, other phone ${other}, QR ${again}`, () => {
      assert.equal(answerCodeRequest(attempt, PHONE), same);
      assert.equal(answerCodeRequest(attempt, OTHER), other);
      assert.equal(answerQrRequest(attempt), again);
    });
  }
});

describe("every state and input", () => {
  it("never leaves `ended`, and ends at most once", () => {
    const inputs: PairingInput[] = [
      ready,
      tick("qr"),
      tick("qr", false),
      tick("code"),
      tick("grace"),
      tick("linking"),
      tick("passkey"),
      { kind: "unwatched" },
      { kind: "code_accepted" },
      { kind: "code_refused", errorCode: "WHATSAPP_REFUSED" },
      { kind: "rotated" },
      { kind: "phone_answered" },
      { kind: "code_retired" },
      { kind: "passkey", expiresInMs: 600 },
      { kind: "paired" },
      { kind: "closed", canReopen: true, errorCode: "PAIRING_CODE_FAILED" },
      { kind: "stop", outcome: "cancelled" },
    ];
    let seed = 7;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    let endings = 0;
    for (let walk = 0; walk < 5_000; walk += 1) {
      let attempt = newAttempt(
        walk % 2 ? "qr" : "code",
        walk % 3 ? PHONE : walk % 2 ? null : PHONE,
      );
      let ended = 0;
      let asked = 0;
      for (let i = 0; i < 30; i += 1) {
        const input = inputs[random(inputs.length)];
        if (!input) continue;
        const next = step(attempt, input, FIGURES);
        ended += next.effects.filter((one) => one.kind === "ended").length;
        asked += next.effects.filter((one) => one.kind === "ask_code").length;
        if (attempt.state === "ended") assert.equal(next.effects.length, 0);
        attempt = next.attempt;
        assert.ok(attempt.k <= FIGURES.maxQr, "never a fourth QR");
      }
      assert.ok(ended <= 1);
      assert.ok(asked <= 1, "one attempt asks for one code");
      endings += ended;
    }
    assert.ok(endings > 4_000);
  });
});

import assert from "node:assert/strict";
import { it } from "node:test";
import { SESSION_REASONS } from "@manyline/contracts";
import { DisconnectReason } from "@whiskeysockets/baileys";
import { backoffMs } from "./backoff.ts";
import { CLOSING_REASONS, closingRule } from "./closing-reasons.ts";

it("every code the library names has a rule", () => {
  const codes = Object.values(DisconnectReason).filter(
    (one): one is DisconnectReason => typeof one === "number",
  );
  assert.ok(codes.length >= 9);
  for (const code of codes) assert.ok(CLOSING_REASONS[code], `no rule for ${code}`);
});

it("the rule of every code leads to the status of its reason", () => {
  const expected: Record<number, string> = {
    400: "error/untrusted_server stop",
    401: "disconnected/logged_out erase",
    402: "error/temp_ban wait_until",
    403: "error/locked stop",
    405: "error/client_outdated fleet_stop",
    406: "error/locked stop",
    408: "connecting/reconnecting reconnect",
    409: "error/client_refused stop",
    411: "error/multidevice stop",
    428: "connecting/reconnecting reconnect",
    429: "connecting/reconnecting reconnect_slowly",
    440: "error/replaced ask_lease",
    471: "error/token_refused stop",
    472: "error/not_confirmed stop",
    473: "disconnected/not_linked stop",
    500: "connecting/reconnecting reconnect",
    503: "connecting/reconnecting reconnect_slowly",
    515: "connecting/opening restart",
    516: "connecting/reconnecting reconnect",
  };
  const actual = Object.fromEntries(
    Object.entries(CLOSING_REASONS).map(([code, rule]) => [
      code,
      `${SESSION_REASONS[rule.reason].status}/${rule.reason} ${rule.reaction}`,
    ]),
  );
  assert.deepEqual(actual, expected);
});

it("only a logout erases, and an unknown code keeps the credentials and reconnects", () => {
  for (let code = 100; code < 1_000; code += 1) {
    const { reaction } = closingRule(code);
    assert.equal(reaction === "erase", code === 401, String(code));
    if (!CLOSING_REASONS[code]) assert.equal(reaction, "reconnect");
  }
  assert.equal(closingRule(undefined).reaction, "none");
});

it("backs off exponentially, with jitter, within its cap", () => {
  const figures = { baseMs: 1_000, capMs: 60_000 };
  const longest = (attempt: number, slow = false) =>
    backoffMs(attempt, figures, { slow, random: () => 1 });
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 8, 1_000].map((n) => longest(n)),
    [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000],
  );
  assert.equal(longest(1, true), 16_000);
  assert.equal(backoffMs(1, figures, { random: () => 0 }), 200);
});

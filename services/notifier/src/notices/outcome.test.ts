import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fateOf, isWornOut, outcomeOfStatus, type SendOutcome, type Sending } from "./outcome.ts";
import { outcomeOfReply } from "./mail.ts";
import { createHttpSms, createTwilio } from "./sms.ts";

const NOW = new Date("2026-11-21T12:00:00.000Z");
const inMs = (ms: number): Date => new Date(NOW.getTime() + ms);
const code = (before: SendOutcome[] = [], lifeMs = 60_000): Sending => ({
  kind: "pairing_code",
  isUrgent: true,
  before: before.map((outcome) => ({ outcome })),
  expiresAt: inMs(lifeMs),
  now: NOW,
});
const result = (outcome: SendOutcome, retryAfterMs = 0) => ({ outcome, code: null, retryAfterMs });

test("what will never be taken is not tried again; a code's login that is refused neither", () => {
  for (const outcome of [
    "wrong_address",
    "refused",
    "not_configured",
    "unauthorised",
    "untrusted",
  ] as const) {
    assert.deepEqual(fateOf(result(outcome), code()), { state: "failed" }, outcome);
  }
  const daily: Sending = { ...code([], 86_400_000), kind: "restricted", isUrgent: false };
  assert.equal(fateOf(result("unauthorised"), daily).state, "waiting");
});

test("a code is tried again while there is time, not before the provider wants it, and never after its end", () => {
  assert.deepEqual(fateOf(result("down"), code()), {
    state: "waiting",
    inMs: 500,
    isRepeat: false,
  });
  const later = fateOf(result("throttled", 20_000), code());
  assert.deepEqual(later, { state: "waiting", inMs: 20_000, isRepeat: false });
  assert.deepEqual(fateOf(result("throttled", 70_000), code()), { state: "failed" });
  assert.deepEqual(fateOf(result("down"), code([], 3_400)), { state: "failed" });
  assert.deepEqual(fateOf(result("down"), code(Array(9).fill("down"))), { state: "failed" });
});

test("what may have arrived goes once more, marked", () => {
  const again = fateOf(result("unclear"), code());
  assert.deepEqual(again, { state: "waiting", inMs: 500, isRepeat: true });
  assert.deepEqual(fateOf(result("unclear"), code(["unclear"])), { state: "failed" });
  assert.equal(isWornOut([{ outcome: "unknown" }]), false);
  assert.equal(
    isWornOut([{ outcome: "unknown" }, { outcome: "down" }, { outcome: "unclear" }]),
    true,
  );
});

test("replies of mail servers and statuses of providers", () => {
  const replies: [number, string, SendOutcome][] = [
    [550, "RCPT TO", "wrong_address"],
    [554, "DATA", "refused"],
    [450, "RCPT TO", "throttled"],
    [421, "CONN", "down"],
    [451, "DATA", "down"],
    [535, "AUTH PLAIN", "unauthorised"],
  ];
  for (const [reply, command, outcome] of replies)
    assert.equal(outcomeOfReply(reply, command), outcome, `${reply} ${command}`);
  const statuses: [number, SendOutcome][] = [
    [202, "sent"],
    [302, "refused"],
    [403, "unauthorised"],
    [408, "down"],
    [429, "throttled"],
    [503, "down"],
  ];
  for (const [status, outcome] of statuses) assert.equal(outcomeOfStatus(status), outcome);
});

test("any provider that takes JSON: what it gets, and what is made of its answers", async () => {
  let status = 202;
  let seen: { headers: IncomingMessage["headers"]; body: string } | undefined;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      seen = { headers: request.headers, body };
      if (status === 0) request.socket.destroy();
      else response.writeHead(status, { "retry-after": "2" }).end("{}");
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sms`;
  const provider = createHttpSms({ url, token: "t0ken" });
  const sms = { id: "ntc_1", to: "79001234567", text: "Код", lifeMs: 12_900 };
  const send = () => provider.send(sms, AbortSignal.timeout(2_000));
  assert.deepEqual(await send(), { outcome: "sent", code: null });
  assert.equal(seen?.headers.authorization, "Bearer t0ken");
  assert.equal(seen.headers["idempotency-key"], "ntc_1");
  assert.deepEqual(JSON.parse(seen.body), {
    id: "ntc_1",
    to: "+79001234567",
    text: "Код",
    validitySeconds: 12,
  });
  const outcomes: [number, SendOutcome][] = [
    [422, "wrong_address"],
    [401, "unauthorised"],
    [429, "throttled"],
    [500, "down"],
    [307, "refused"],
    [0, "unclear"],
  ];
  for (const [answer, outcome] of outcomes) {
    status = answer;
    const got = await send();
    assert.equal(got.outcome, outcome, `${answer}`);
    if (answer === 429) assert.equal(got.retryAfterMs, 2_000);
  }
  server.closeAllConnections();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  assert.equal((await send()).outcome, "down");
  const twilio = createTwilio({ url, accountSid: "AC", authToken: "t", from: "MG1" });
  assert.equal((await twilio.send(sms, AbortSignal.timeout(2_000))).outcome, "down");
});

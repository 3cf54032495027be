import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  endpointPauseMs,
  filtersOf,
  isEndpointDead,
  isEventFilter,
  isSignedBy,
  isTaken,
  newWebhookSecret,
  nextAttemptMs,
  signatureOf,
  signedHeaders,
} from "./index.ts";

describe("signatures", () => {
  it("are those of the standard", () => {
    // The example of the specification's reference libraries.
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const body = Buffer.from('{"test": 2432232314}');
    assert.equal(
      signatureOf(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body),
      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    );
  });
  it("of two secrets are both sent, and each is enough; another's, an old one, a changed body are not", () => {
    const [mine, former, others] = [newWebhookSecret(), newWebhookSecret(), newWebhookSecret()];
    const now = new Date("2026-11-21T11:00:00.000Z");
    const body = Buffer.from("{}");
    const headers = signedHeaders([mine, former], "evt_1", now, body);
    assert.equal(headers["webhook-signature"].split(" ").length, 2);
    for (const secret of [mine, former]) assert.ok(isSignedBy(secret, headers, body, now));
    assert.ok(!isSignedBy(others, headers, body, now));
    assert.ok(!isSignedBy(mine, headers, Buffer.from("{ }"), now));
    assert.ok(!isSignedBy(mine, { ...headers, "webhook-id": "evt_2" }, body, now));
    assert.ok(!isSignedBy(mine, headers, body, new Date(now.getTime() + 301_000)));
    assert.ok(!isSignedBy(mine, {}, body, now));
  });
});

describe("deliveries", () => {
  it("are tried at once, after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h, and no more", () => {
    const pauses = Array.from({ length: 9 }, (_, index) => nextAttemptMs(index + 1, 0));
    const minute = 60_000;
    const hours = [2, 5, 10, 10].map((count) => count * 60 * minute);
    assert.deepEqual(pauses, [0, 5_000, 5 * minute, 30 * minute, ...hours, undefined]);
    assert.equal(nextAttemptMs(2, 1), 5_500);
  });
  it("are taken by 2xx only", () => {
    for (const status of [200, 202, 204]) assert.ok(isTaken(status));
    for (const status of [0, 100, 301, 302, 307, 400, 410, 429, 500]) assert.ok(!isTaken(status));
  });
});

describe("endpoints", () => {
  it("that fail are left alone for longer and longer, a minute at most", () => {
    assert.deepEqual(
      [0, 4, 5, 6, 9, 11, 99].map(endpointPauseMs),
      [0, 0, 1_000, 2_000, 16_000, 60_000, 60_000],
    );
  });
  it("are dead when they took nothing since a delivery that died was first tried", () => {
    const [early, late] = [new Date(1_000), new Date(100_000)];
    assert.ok(isEndpointDead(early, late));
    assert.ok(isEndpointDead(new Date(1_020), early), "with that very delivery it began");
    assert.ok(!isEndpointDead(late, early), "it took something in between");
    assert.ok(!isEndpointDead(undefined, late));
  });
});

describe("filters", () => {
  it("are names of events and families; the code must be asked for by name", () => {
    for (const good of ["*", "message.*", "message.received", "pairing-code"]) {
      assert.ok(isEventFilter(good), good);
    }
    for (const bad of ["", "message", "message.", "*.received", "secret.pairing", "toString"]) {
      assert.ok(!isEventFilter(bad), bad);
    }
    assert.deepEqual(filtersOf("message.received"), ["*", "message.*", "message.received"]);
    assert.deepEqual(filtersOf("pairing-code"), ["pairing-code"]);
  });
});

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { EVENTS } from "../events/catalogue.ts";
import type { Envelope } from "../events/envelope.ts";
import type { SessionReason, SessionStatus } from "../session.ts";
import { groupSentAt, stillNews } from "./grouping.ts";
import { type Loss, lossToldAt, stepLoss } from "./loss.ts";
import {
  addresseesOf,
  mayBeSent,
  nextTry,
  NOTICE_FIGURES,
  noticesOf,
  type Reader,
} from "./rules.ts";

const example = (type: string): Envelope =>
  JSON.parse(
    readFileSync(new URL(`../../fixtures/${type}.v1.json`, import.meta.url), "utf8"),
  ) as Envelope;
const withData = (type: string, data: object): Envelope => {
  const envelope = example(type);
  return { ...envelope, data: { ...(envelope.data as object), ...data } };
};
const reader = (facts: Partial<Reader> = {}): Reader => ({
  adminEmail: "Owner@Salon.example",
  notificationEmail: "desk@salon.example",
  phone: "79001234567",
  language: "ru",
  whatsappEnabled: true,
  whatsappConfig: {},
  ...facts,
});
const emails = (facts: Partial<Reader>, kind: Parameters<typeof addresseesOf>[0]): string[] =>
  addresseesOf(kind, reader(facts)).map(({ address }) => address);
const after = (ms: number, from = START): Date => new Date(from.getTime() + ms);
const START = new Date("2026-11-21T11:00:00.000Z");

describe("who is told", () => {
  it("both addresses, and an address that is written twice once", () => {
    assert.deepEqual(emails({}, "pairing_code"), ["Owner@Salon.example", "desk@salon.example"]);
    const same = { notificationEmail: " owner@salon.EXAMPLE " };
    assert.deepEqual(emails(same, "pairing_code"), ["Owner@Salon.example"]);
    assert.deepEqual(emails({ adminEmail: null }, "blocked"), ["desk@salon.example"]);
    assert.deepEqual(emails({ adminEmail: null, notificationEmail: " " }, "blocked"), []);
  });
  it("of what concerns the account the administrator alone, or whoever there is", () => {
    assert.deepEqual(emails({}, "token_expiring"), ["Owner@Salon.example"]);
    assert.deepEqual(emails({ adminEmail: null }, "token_expiring"), ["desk@salon.example"]);
  });
  it("by SMS only when it is switched on, a provider is named and the company has a phone", () => {
    const on = { smsNotifications: true, smsProvider: "twilio" };
    const sms = (facts: Partial<Reader>, kind: "pairing_code" | "number_added" = "pairing_code") =>
      addresseesOf(kind, reader(facts)).filter(({ channel }) => channel === "sms");
    assert.deepEqual(sms({ whatsappConfig: on }), [
      { channel: "sms", address: "79001234567", provider: "twilio" },
    ]);
    for (const whatsappConfig of [
      {},
      { smsProvider: "twilio" },
      { smsNotifications: true },
      { smsNotifications: true, smsProvider: "" },
      { ...on, smsNotifications: false },
    ]) {
      assert.deepEqual(sms({ whatsappConfig }), [], JSON.stringify(whatsappConfig));
    }
    assert.deepEqual(sms({ whatsappConfig: on, phone: null }), []);
    assert.deepEqual(sms({ whatsappConfig: on }, "number_added"), []);
  });
  it("nobody of a company that is switched off", () => {
    assert.deepEqual(addresseesOf("pairing_code", reader({ whatsappEnabled: false })), []);
  });
});

describe("what is told", () => {
  it("of a code that follows unscanned QRs two notices, else one, both until the code's end", () => {
    const kinds = (switched: boolean) =>
      noticesOf(withData("pairing.code_issued", { switched })).map(({ kind }) => kind);
    assert.deepEqual(kinds(true), ["pairing_code", "switched_to_code"]);
    assert.deepEqual(kinds(false), ["pairing_code"]);
    const envelope = example("pairing.code_issued");
    const { expiresAt } = envelope.data as { expiresAt: string };
    for (const notice of noticesOf(envelope)) {
      assert.equal(notice.expiresAt.toISOString(), expiresAt);
    }
  });
  it("of the end of a restriction and of limits of a phone nothing", () => {
    assert.deepEqual(noticesOf(withData("number.restricted", { restriction: null })), []);
    assert.deepEqual(noticesOf(withData("pairing.rate_limited", { scope: "phone" })), []);
    assert.equal(noticesOf(withData("pairing.rate_limited", { scope: "company" })).length, 1);
  });
  it("of most events nothing", () => {
    const told = EVENTS.map(({ type }) => type).filter(
      (type) => noticesOf(example(type)).length > 0,
    );
    assert.deepEqual(told.toSorted(), [
      "company.phone_missing",
      "company.webhook_disabled",
      "number.added",
      "number.restricted",
      "number.token_expiring",
      "pairing.code_issued",
      "pairing.passkey_required",
      "pairing.rate_limited",
    ]);
  });
});

describe("until when", () => {
  it("nothing goes after a code's end, nor so late that it arrives dead", () => {
    const end = after(60_000);
    const { leastCodeLifeMs } = NOTICE_FIGURES;
    assert.ok(mayBeSent("pairing_code", after(60_000 - leastCodeLifeMs - 1), end));
    assert.ok(!mayBeSent("pairing_code", after(60_000 - leastCodeLifeMs), end));
    assert.ok(!mayBeSent("pairing_code", after(60_001), end));
    assert.ok(!mayBeSent("blocked", end, end));
  });
  it("tries of a code come quickly and end with it", () => {
    const end = after(60_000);
    let now = START;
    let tries = 0;
    for (let at = nextTry("pairing_code", 1, now, end); at;) {
      tries += 1;
      now = at;
      assert.ok(mayBeSent("pairing_code", now, end));
      at = nextTry("pairing_code", tries + 1, now, end);
    }
    assert.ok(tries >= 5, String(tries));
    assert.ok(now.getTime() > START.getTime() + 40_000, now.toISOString());
    assert.equal(nextTry("pairing_code", 1, after(59_000), end), undefined);
    assert.equal(nextTry("blocked", 99, START, after(NOTICE_FIGURES.lifeMs)), undefined);
  });
});

describe("losses", () => {
  const change = (
    status: SessionStatus,
    reason: SessionReason,
    previousStatus: SessionStatus,
    ms: number,
  ) => ({ status, reason, previousStatus, since: after(ms) });

  it("begin when a connected number is away, and are over when it is back", () => {
    const away = stepLoss(undefined, change("connecting", "reconnecting", "connected", 0));
    const still = stepLoss(away, change("connecting", "opening", "connecting", 90_000));
    assert.deepEqual(still, { since: START, reason: "opening" });
    assert.deepEqual(lossToldAt(still), after(NOTICE_FIGURES.lossMs));
    assert.equal(stepLoss(still, change("connected", "open", "connecting", 99_000)), undefined);
  });
  it("that no machine mends are told at once", () => {
    const loss = stepLoss(undefined, change("disconnected", "logged_out", "connected", 0));
    assert.deepEqual(lossToldAt(loss as Loss), START);
  });
  it("are none when a person did it, or the number was never connected", () => {
    assert.equal(
      stepLoss(undefined, change("disconnected", "unlinked", "connected", 0)),
      undefined,
    );
    assert.equal(
      stepLoss(undefined, change("connecting", "opening", "disconnected", 0)),
      undefined,
    );
    const away: Loss = { since: START, reason: "logged_out" };
    assert.equal(stepLoss(away, change("connecting", "pairing", "disconnected", 9)), undefined);
  });
});

describe("operational notices", () => {
  it("wait for others, then for a pause that doubles with each mail of the day", () => {
    const { gatherMs, quietMs, mostQuietMs } = NOTICE_FIGURES;
    const desk = (lastSentAt: Date | undefined, sentToday: number) =>
      groupSentAt({ firstWaitingAt: START, lastSentAt, sentToday }).getTime() - START.getTime();
    assert.equal(desk(undefined, 0), gatherMs);
    assert.equal(desk(START, 1), quietMs);
    assert.equal(desk(START, 3), quietMs * 4);
    assert.equal(desk(START, 50), mostQuietMs);
    assert.equal(desk(after(-2 * mostQuietMs), 50), gatherMs);
  });
  it("of an outage of a day are few: 1,000 numbers that go and come", () => {
    const sent: Date[] = [];
    for (let minute = 0; minute < 24 * 60; minute += 1) {
      const lastSentAt = sent.at(-1);
      const at = groupSentAt({ firstWaitingAt: after(0), lastSentAt, sentToday: sent.length });
      if (at <= after(minute * 60_000)) sent.push(after(minute * 60_000));
    }
    assert.ok(sent.length <= 9, String(sent.length));
  });
  it("say of one thing only the last, and nothing that is over", () => {
    const notice = (about: string, end: number, mark: number) => ({
      kind: "number_disconnected" as const,
      companyId: "a",
      about,
      expiresAt: after(end),
      mark,
    });
    const waiting = [
      notice("n1", 9, 1),
      notice("n2", 9, 2),
      notice("n1", 9, 3),
      notice("n3", 0, 4),
    ];
    assert.deepEqual(
      stillNews(waiting, START).map(({ mark }) => mark),
      [2, 3],
    );
  });
});

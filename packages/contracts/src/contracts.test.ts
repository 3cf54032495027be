import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readdirSync, readFileSync } from "node:fs";
import { ERRORS, ERROR_CODES, ManylineError } from "./errors.ts";
import { EVENTS, eventDefinition, streamSubjects } from "./events/catalogue.ts";
import { dataSchemaId, makeEvent, parseEvent } from "./events/envelope.ts";
import { companyRemoved } from "./events/company.ts";
import {
  messageIdFrom,
  newAttemptId,
  newLinkedMessageId,
  newMessageId,
  newNumberId,
  parseCompanyId,
  parseMessageId,
  parseNumberId,
  type CompanyId,
} from "./ids.ts";
import { MESSAGE_STATES, STATE_RANK } from "./message.ts";
import { companyPermissions } from "./permissions.ts";
import { SESSION_REASONS, SESSION_STATUSES } from "./session.ts";

const COMPANY = "962302" as CompanyId;

describe("ids", () => {
  it("a company's id is one safe token of a subject", () => {
    for (const good of ["962302", "a", "A-b_c", "_x", "x".repeat(64)])
      assert.equal(parseCompanyId(good), good);
    for (const bad of ["", "_", "a.b", "a b", "*", ">", "a__wpp__b", "x".repeat(65), "é", "a\n"]) {
      assert.equal(parseCompanyId(bad), undefined, JSON.stringify(bad));
    }
  });
  it("made ids are ascending and parse", () => {
    const made = Array.from({ length: 1_000 }, () => newNumberId());
    assert.deepEqual(made.toSorted(), made);
    assert.equal(new Set(made).size, 1_000);
    assert.ok(made.every((one) => parseNumberId(one) === one));
    assert.equal(parseNumberId(newAttemptId()), undefined);
  });
});

describe("events", () => {
  it("each type is known once, and its family is in the stream", () => {
    assert.equal(new Set(EVENTS.map((one) => one.type)).size, EVENTS.length);
    for (const { type } of EVENTS) assert.ok(streamSubjects().includes(`${type.split(".")[0]}.>`));
    for (const status of SESSION_STATUSES) assert.ok(eventDefinition(`session.${status}`));
  });
  it("every version ever published has an example that still parses", () => {
    const folder = new URL("../fixtures/", import.meta.url);
    const files = readdirSync(folder).filter((file) => file.endsWith(".json"));
    for (const definition of EVENTS) {
      assert.ok(files.includes(`${definition.type}.v${definition.version}.json`), definition.type);
    }
    for (const file of files) {
      const parsed = parseEvent(JSON.parse(readFileSync(new URL(file, folder), "utf8")));
      assert.ok(parsed.ok, `${file}: ${parsed.ok ? "" : parsed.reason}`);
    }
  });
  it("wrong data is refused when made, unknown versions are parked when read", () => {
    const context = { service: "test", at: new Date() };
    assert.throws(
      () => makeEvent(companyRemoved, { companyId: COMPANY }, { id: 7 } as never, context),
      TypeError,
    );
    assert.throws(() =>
      makeEvent(companyRemoved, { companyId: COMPANY }, { id: "x".repeat(300_000) }, context),
    );
    const { envelope, natsSubject } = makeEvent(
      companyRemoved,
      { companyId: COMPANY },
      { id: "962302" },
      context,
    );
    assert.equal(natsSubject, "company.removed.962302._");
    assert.equal(envelope.dataschema, dataSchemaId(companyRemoved));
    assert.deepEqual(parseEvent({ ...envelope, dataschema: "manyline:company.removed:v9" }), {
      ok: false,
      reason: "unknown-event",
    });
    assert.deepEqual(parseEvent({ ...envelope, data: {} }), { ok: false, reason: "bad-data" });
    assert.deepEqual(parseEvent("x"), { ok: false, reason: "not-an-event" });
  });
  it("no event has room for a code or a QR", () => {
    for (const { type, data } of EVENTS) {
      for (const name of Object.keys(data.properties)) {
        const isErrorCode = type === "pairing.failed" && name === "code";
        assert.ok(
          isErrorCode || !/^(code|pairingCode|qr|secret|token)$/.test(name),
          `${type}.${name}`,
        );
      }
    }
  });
});

describe("messages", () => {
  it("ids name their time, so that what is older is smaller", () => {
    const before = messageIdFrom(new Date());
    const made = Array.from({ length: 1_000 }, () => newMessageId());
    assert.deepEqual(made.toSorted(), made);
    assert.ok(made.every((one) => parseMessageId(one) === one && one >= before));
    assert.ok(messageIdFrom(new Date(Date.now() + 1_000)) > (made.at(-1) ?? ""));
    assert.equal(parseMessageId(newNumberId()), undefined);
    assert.match(newLinkedMessageId(), /^3EB0[0-9A-F]{18}$/);
  });
  it("whatever is sent ends in an event, and states have a rank", () => {
    for (const state of Object.keys(STATE_RANK)) {
      assert.ok((MESSAGE_STATES as readonly string[]).includes(state));
      assert.ok(state === "sending" || eventDefinition(`message.${state}`), state);
    }
    assert.ok(STATE_RANK.sent < STATE_RANK.delivered && STATE_RANK.delivered < STATE_RANK.read);
  });
});

describe("errors", () => {
  it("each has a sentence, a remedy and a status of its kind", () => {
    for (const code of ERROR_CODES) {
      const { status, title, remedy } = ERRORS[code];
      assert.match(code, /^[A-Z][A-Z_]+$/);
      assert.ok(status >= 400 && status < 600);
      assert.ok(title.endsWith(".") && remedy.endsWith("."), code);
    }
    assert.equal(
      new ManylineError("RATE_LIMITED", { detail: "Wait 30 minutes" }).message,
      "Wait 30 minutes",
    );
  });
});

describe("permissions", () => {
  it("a company's user reads its own subjects and no wildcard leads", () => {
    const { publish, subscribe } = companyPermissions(COMPANY);
    assert.deepEqual(publish, { allow: [], deny: [">"] });
    for (const subject of subscribe.allow) {
      assert.match(subject, /^([a-z]+\.\*\.962302\.>|_INBOX_962302\.>)$/);
    }
    assert.ok(
      companyPermissions(COMPANY, { secrets: true }).subscribe.allow.includes(
        "secret.pairing.962302.>",
      ),
    );
    const answering = companyPermissions(COMPANY, { flows: true });
    assert.ok(answering.subscribe.allow.includes("ask.flow.962302"));
    assert.deepEqual([answering.publish.allow, answering.allow_responses?.max], [[], 1]);
    assert.ok(!subscribe.allow.some((subject) => subject.startsWith("ask.")));
  });
});

it("every reason leads to one of the five statuses", () => {
  for (const { status } of Object.values(SESSION_REASONS))
    assert.ok(SESSION_STATUSES.includes(status));
});

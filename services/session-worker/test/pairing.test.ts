/** Linking a number, end to end from the command to the open connection. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { NumberRow } from "@manyline/db";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

/** 60 s pass in 3 s, the hour in 3 minutes. */
const SCALE = 20;
let room: Room;
before(async () => {
  room = await openRoom({ timeScale: SCALE });
});
after(() => room.close());

async function number(phone: string | null = null): Promise<NumberRow> {
  return room.number(await room.company(), phone);
}
async function shown(one: NumberRow): Promise<string> {
  return until(() => room.secret(one), { label: "a QR or code" });
}
async function connected(one: NumberRow): Promise<void> {
  await until(async () => (await room.status(one)).number.status === "connected", {
    label: "connected",
  });
}
async function types(one: NumberRow): Promise<string[]> {
  return (await room.events(one)).map((event) => event.type);
}

describe("by QR", () => {
  it("shows a QR, links, logs in and stays connected", async () => {
    const one = await number();
    await room.watch(one);
    const command = await room.command(one, "pair_qr");
    assert.equal(command.state, "done");
    const qr = await shown(one);
    assert.match(qr, /^https:\/\/wa\.me\/settings\/linked_devices#/);
    const phone = room.phone();
    await room.simulator.server.phone(phone).scan(qr);
    await connected(one);
    const status = await room.status(one);
    assert.equal(status.number.phone, phone);
    assert.equal(status.number.isLinked, true);
    assert.equal(status.attempt?.outcome, "succeeded");
    assert.deepEqual(await types(one), [
      "pairing.started",
      "session.connecting",
      "pairing.qr_issued",
      "pairing.succeeded",
      "session.connecting",
      "session.connected",
    ]);
    assert.equal(JSON.stringify(await room.events(one)).includes(qr.split("#")[1] ?? qr), false);
  });

  it("three unscanned QRs switch to a code, once, while somebody watches", async () => {
    const phone = room.phone();
    const one = await number(phone);
    await room.watch(one);
    await room.command(one, "pair_qr");
    const code = await until(
      async () => {
        const value = await room.secret(one);
        return value !== undefined && !value.startsWith("https") ? value : undefined;
      },
      { label: "the code", deadlineMs: 15_000 },
    );
    const seen = await types(one);
    assert.equal(seen.filter((type) => type === "pairing.qr_issued").length, 3);
    assert.equal(seen.filter((type) => type === "pairing.qr_exhausted").length, 1);
    assert.equal(seen.at(-1), "pairing.code_issued");
    await room.simulator.server.phone(phone).enterCode(code);
    await connected(one);
  });

  it("without a phone it asks for one, once", async () => {
    const one = await number();
    for (const round of [1, 2]) {
      await room.watch(one);
      await room.command(one, "pair_qr");
      await until(async () => (await room.status(one)).attempt?.outcome === "unused", {
        label: `round ${round}`,
        deadlineMs: 15_000,
      });
    }
    const seen = await types(one);
    assert.equal(seen.filter((type) => type === "company.phone_missing").length, 1);
    assert.equal(seen.filter((type) => type === "pairing.qr_exhausted").length, 2);
    assert.equal((await room.status(one)).number.reason, "not_linked");
  });

  it("an attempt nobody watches ends abandoned, without a switch", async () => {
    const one = await number(room.phone());
    await room.command(one, "pair_qr");
    await until(async () => (await room.status(one)).attempt?.outcome === "abandoned", {
      label: "abandoned",
      deadlineMs: 15_000,
    });
    assert.equal((await types(one)).includes("pairing.qr_exhausted"), false);
  });

  it("two requests at once make one attempt", async () => {
    const one = await number();
    await room.watch(one);
    const [first, second] = await Promise.all([
      room.command(one, "pair_qr"),
      room.command(one, "pair_qr"),
    ]);
    assert.deepEqual(first.result, second.result);
    await room.command(one, "cancel_pairing");
    assert.equal((await room.status(one)).attempt?.outcome, "cancelled");
  });
});

describe("by code", () => {
  it("gives a code and links; nothing of it is left", async () => {
    const phone = room.phone();
    const one = await number();
    const command = await room.command(one, "pair_code", { phone });
    assert.equal(command.state, "done");
    const code = await shown(one);
    assert.match(code, /^[1-9A-HJ-NP-TV-Z]{8}$/);
    assert.equal(JSON.stringify(command).includes(code), false);
    await room.simulator.server.phone(phone).enterCode(code);
    await connected(one);
    assert.equal(JSON.stringify(await room.events(one)).includes(code), false);
    assert.equal((await room.status(one)).attempt?.hasSecret, false);
  });

  it("a code typed after it stopped being shown still links, in the grace time", async () => {
    const phone = room.phone();
    const one = await number();
    await room.command(one, "pair_code", { phone });
    const code = await shown(one);
    await until(async () => (await room.status(one)).attempt?.state === "code_expired", {
      label: "expiry",
    });
    await room.simulator.server.phone(phone).enterCode(code);
    await connected(one);
  });

  it("after the grace time it does not link, and the next attempt does", async () => {
    const phone = room.phone();
    const one = await number();
    await room.command(one, "pair_code", { phone });
    const code = await shown(one);
    await until(async () => (await room.status(one)).attempt?.outcome === "unused", {
      label: "end",
    });
    await assert.rejects(room.simulator.server.phone(phone).enterCode(code));
    await room.command(one, "pair_code", { phone });
    await room.simulator.server.phone(phone).enterCode(await shown(one));
    await connected(one);
  });

  it("a new code asked for after expiry replaces the old one", async () => {
    const phone = room.phone();
    const one = await number();
    const first = await room.command(one, "pair_code", { phone });
    await until(async () => (await room.status(one)).attempt?.state === "code_expired", {
      label: "expiry",
    });
    const second = await room.command(one, "pair_code", { phone });
    assert.equal(second.state, "done");
    assert.notDeepEqual(first.result, second.result);
    await room.simulator.server.phone(phone).enterCode(await shown(one));
    await connected(one);
  });

  it("unless the phone has begun", async () => {
    const phone = room.phone();
    room.simulator.server.account(phone).overrides = { finish: "result-then-silence" };
    const one = await number();
    await room.command(one, "pair_code", { phone });
    const code = await shown(one);
    // Linking is told when the code is over, and lasts as long as the phone took to answer.
    await delay(1_500);
    void room.simulator.server
      .phone(phone)
      .enterCode(code)
      .catch(() => undefined);
    await until(async () => (await room.status(one)).attempt?.state === "linking", {
      label: "linking",
    });
    const second = await room.command(one, "pair_code", { phone });
    assert.equal(second.error?.["code"], "REQUEST_IN_PROGRESS");
    await until(async () => (await room.status(one)).attempt?.outcome === "failed", {
      label: "the end of linking",
    });
  });

  for (const [answer, code, reason] of [
    [429, "WHATSAPP_REFUSED", "linking_refused"],
    [404, "PHONE_NOT_ON_WHATSAPP", "not_linked"],
    ["silent", "PAIRING_CODE_FAILED", "not_linked"],
  ] as const) {
    it(`WhatsApp's answer ${answer} is ${code}`, async () => {
      const phone = room.phone();
      room.simulator.server.account(phone).overrides = { helloAnswer: answer };
      const one = await number();
      const command = await room.command(one, "pair_code", { phone });
      assert.equal(command.error?.["code"], code);
      const status = await room.status(one);
      assert.equal(status.number.reason, reason);
    });
  }

  it("a phone that is linked to another number of the company is refused", async () => {
    const company = await room.company();
    const [one, other] = [await room.number(company), await room.number(company)];
    const phone = room.phone();
    await room.command(one, "pair_code", { phone });
    await room.simulator.server.phone(phone).enterCode(await shown(one));
    await connected(one);
    const refused = await room.command(other, "pair_code", { phone });
    assert.equal(refused.error?.["code"], "PHONE_ALREADY_LINKED");
    await room.watch(other);
    await room.command(other, "pair_qr");
    await assert.rejects(room.simulator.server.phone(phone).scan(await shown(other)));
    assert.equal(
      room.simulator.server.account(phone).devices.size,
      1,
      "no second device on the phone",
    );
    assert.equal((await room.status(one)).number.status, "connected");
  });

  it("a passkey parks the attempt", async () => {
    const phone = room.phone();
    room.simulator.server.account(phone).overrides = { passkey: "after-finish" };
    const one = await number();
    await room.command(one, "pair_code", { phone });
    await assert.rejects(room.simulator.server.phone(phone).enterCode(await shown(one)));
    await until(async () => (await room.status(one)).attempt?.state === "passkey_required", {
      label: "passkey",
    });
    assert.equal((await room.status(one)).number.reason, "passkey_required");
  });
});

describe("a linked number", () => {
  it("unlinked on the phone: logged out, credentials gone, a new pairing works", async () => {
    const phone = room.phone();
    const one = await number();
    for (let round = 0; round < 2; round += 1) {
      await room.command(one, "pair_code", { phone });
      await room.simulator.server.phone(phone).enterCode(await shown(one));
      await connected(one);
      room.simulator.server.phone(phone).unlink();
      await until(async () => (await room.status(one)).number.reason === "logged_out", {
        label: "logout",
      });
      assert.equal((await room.status(one)).number.isLinked, false);
    }
  });

  it("unlinked here: WhatsApp is told", async () => {
    const phone = room.phone();
    const one = await number();
    await room.command(one, "pair_code", { phone });
    await room.simulator.server.phone(phone).enterCode(await shown(one));
    await connected(one);
    assert.equal(
      (await room.command(one, "pair_code", { phone })).error?.["code"],
      "ALREADY_CONNECTED",
    );
    assert.deepEqual((await room.command(one, "unlink")).result, { wasLinked: true, told: true });
    assert.equal(room.simulator.server.account(phone).devices.size, 0);
    assert.equal((await room.status(one)).number.reason, "unlinked");
  });

  it("nothing was left unanswered by the simulator", () => {
    assert.deepEqual(room.simulator.server.unhandled, []);
  });
});

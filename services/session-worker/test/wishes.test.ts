/** What a person wishes while something else is going on: switching off, changing phones, giving up. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NumberRow } from "@manyline/db";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom({ timeScale: 20 });
});
after(() => room.close());

async function number(phone: string | null = null): Promise<NumberRow> {
  return room.number(await room.company(), phone);
}
async function shown(one: NumberRow): Promise<string> {
  return until(() => room.secret(one), { label: "a QR or code" });
}
async function is(one: NumberRow, expected: string): Promise<void> {
  await until(
    async () => {
      const { number: row } = await room.status(one);
      return `${row.status}/${row.reason}` === expected;
    },
    { label: expected },
  );
}
async function link(one: NumberRow, phone: string): Promise<void> {
  await room.command(one, "pair_code", { phone });
  await room.simulator.server.phone(phone).enterCode(await shown(one));
  await is(one, "connected/open");
}
const devices = (phone: string): number => room.simulator.server.account(phone).devices.size;

describe("switched off", () => {
  for (const [what, off, on, code] of [
    [
      "the company",
      (one: NumberRow) => room.changeCompany(one, { whatsappEnabled: false }),
      (one: NumberRow) => room.changeCompany(one, { whatsappEnabled: true }),
      "COMPANY_DISABLED",
    ],
    [
      "the number",
      (one: NumberRow) => room.changeNumber(one, { desiredState: "disconnected" }),
      (one: NumberRow) => room.changeNumber(one, { desiredState: "connected" }),
      "NUMBER_DISABLED",
    ],
  ] as const) {
    it(`${what}: a live attempt ends, none begins, a connection closes and comes back`, async () => {
      const one = await number();
      await room.watch(one);
      await room.command(one, "pair_qr");
      const qr = await shown(one);
      await off(one);
      await until(async () => (await room.status(one)).attempt?.outcome === "cancelled", {
        label: "the end",
      });
      await assert.rejects(room.simulator.server.phone(room.phone()).scan(qr));
      assert.equal((await room.command(one, "pair_qr")).error?.["code"], code);
      assert.equal(
        (await room.command(one, "pair_code", { phone: room.phone() })).error?.["code"],
        code,
      );
      await on(one);
      await until(async () => (await room.status(one)).number.desiredState === "connected", {
        label: "on",
      });
      const phone = room.phone();
      await until(async () => (await room.command(one, "pair_code", { phone })).state === "done", {
        label: "a code again",
      });
      await room.simulator.server.phone(phone).enterCode(await shown(one));
      await is(one, "connected/open");
      await off(one);
      await is(one, "disconnected/switched_off");
      await on(one);
      await is(one, "connected/open");
      assert.equal(devices(phone), 1);
    });
  }
});

describe("one phone, two numbers of a company", () => {
  it("scanned at the same moment: one links, the other is refused and leaves no device", async () => {
    const company = await room.company();
    const pair = [await room.number(company), await room.number(company)];
    const phone = room.phone();
    const qrs = await Promise.all(
      pair.map(async (one) => {
        await room.watch(one);
        await room.command(one, "pair_qr");
        return shown(one);
      }),
    );
    const scans = await Promise.allSettled(
      qrs.map((qr) => room.simulator.server.phone(phone).scan(qr)),
    );
    assert.deepEqual(scans.map(({ status }) => status).toSorted(), ["fulfilled", "rejected"]);
    assert.equal(devices(phone), 1);
    const codes = await Promise.all(
      pair.map(async (one) => (await room.status(one)).attempt?.errorCode ?? ""),
    );
    assert.deepEqual(codes.toSorted(), ["", "PHONE_ALREADY_LINKED"]);
  });
});

describe("a number WhatsApp has stopped", () => {
  for (const [reason, expected] of [
    [402, "error/temp_ban"],
    [403, "error/locked"],
  ] as const) {
    it(`${expected}: a code that is cancelled does not log it in`, async () => {
      const one = await number();
      const phone = room.phone();
      await link(one, phone);
      applyFault(room.simulator.server, {
        kind: "login-failure",
        phone,
        args: { reason },
        times: 1,
      });
      applyFault(room.simulator.server, { kind: "drop", phone });
      await is(one, expected);
      const { until: end } = (await room.status(one)).number;
      const logins = room.simulator.server.stats.logins;
      await room.command(one, "pair_code", { phone: room.phone() });
      await is(one, "connecting/pairing");
      await room.command(one, "cancel_pairing");
      await is(one, expected);
      assert.deepEqual((await room.status(one)).number.until, end);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      assert.equal(room.simulator.server.stats.logins, logins);
      const told = (await room.events(one)).filter(({ data }) => data["reason"] === "not_linked");
      assert.equal(told.length, 0, "it has credentials all the time");
    });
  }

  it("replaced: linked anew it works; unlinked it says that WhatsApp was not told", async () => {
    const one = await number();
    const phone = room.phone();
    await link(one, phone);
    applyFault(room.simulator.server, { kind: "replaced", phone });
    await is(one, "error/replaced");
    assert.deepEqual((await room.command(one, "unlink")).result, { wasLinked: true, told: false });
    assert.equal(devices(phone), 1, "listed until the person removes it");
    await link(one, phone);
  });
});

describe("another phone", () => {
  it("changed while a QR is shown: the switch asks the new one", async () => {
    const [old, next] = [room.phone(), room.phone()];
    const one = await number(old);
    await room.watch(one);
    await room.command(one, "pair_qr");
    await shown(one);
    await room.changeNumber(one, { phone: next });
    const attempt = await until(
      async () => {
        const { attempt: live } = await room.status(one);
        return live?.state === "code" ? live : undefined;
      },
      { label: "the switch", deadlineMs: 15_000 },
    );
    assert.equal(attempt.phone, next);
    await room.command(one, "cancel_pairing");
  });
});

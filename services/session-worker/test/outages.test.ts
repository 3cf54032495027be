/** The worker killed at every stage of linking, and each server away for a while. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NumberRow } from "@manyline/db";
import { until } from "@manyline/testkit";
import { killWorker, openRoom, stopWorker, type Room } from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom({ ownPostgres: true });
});
after(() => room.close());

/** A lease of a killed worker runs out after 10 s, and its successor must have been alive as long. */
const TAKEOVER_MS = 20_000;

async function number(phone: string | null = null): Promise<NumberRow> {
  return room.number(await room.company(), phone);
}
async function statusIs(one: NumberRow, status: string, deadlineMs = 10_000): Promise<void> {
  await until(async () => (await room.status(one)).number.status === status, {
    label: status,
    deadlineMs,
  });
}
async function link(one: NumberRow, phone: string): Promise<void> {
  await room.command(one, "pair_code", { phone });
  const code = await until(() => room.secret(one), { label: "a code" });
  await room.simulator.server.phone(phone).enterCode(code);
  await statusIs(one, "connected");
}
const devices = (phone: string): number => room.simulator.server.account(phone).devices.size;

describe("the worker is killed", () => {
  it("while a QR is shown: the attempt ends, the next one links", async () => {
    const one = await number();
    await room.watch(one);
    await room.command(one, "pair_qr");
    const qr = await until(() => room.secret(one), { label: "a QR" });
    await killWorker(room.worker);
    const phone = room.phone();
    await assert.rejects(room.simulator.server.phone(phone).scan(qr));
    await room.startWorker();
    await until(async () => (await room.status(one)).attempt?.outcome === "failed", {
      label: "the attempt's end",
      deadlineMs: TAKEOVER_MS,
    });
    const last = (await room.events(one)).findLast((event) => event.type === "pairing.failed");
    assert.equal(last?.data["code"], "UNAVAILABLE");
    await link(one, phone);
  });

  // From the phone's first word to the stored credentials it takes about 150 ms.
  for (const delayMs of [20, 90, 160]) {
    it(`${delayMs} ms after the phone began: never half a link`, async () => {
      const one = await number();
      const phone = room.phone();
      await room.command(one, "pair_code", { phone });
      const code = await until(() => room.secret(one), { label: "a code" });
      const entered = room.simulator.server
        .phone(phone)
        .enterCode(code)
        .then(
          () => true,
          () => false,
        );
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await killWorker(room.worker);
      const isLinked = await entered;
      await room.startWorker();
      await until(async () => (await room.status(one)).attempt?.endedAt, {
        label: "the attempt's end",
        deadlineMs: TAKEOVER_MS,
      });
      assert.equal(devices(phone) === 1, isLinked);
      // If the phone has the device, we have its keys; if it has none, keys of ours are refused and go.
      if (isLinked) await statusIs(one, "connected", TAKEOVER_MS);
      else {
        await until(async () => !(await room.status(one)).number.isLinked, {
          label: "no credentials",
          deadlineMs: TAKEOVER_MS,
        });
        await statusIs(one, "disconnected");
      }
    });
  }

  it("after linking: it reconnects with the stored credentials, the same device", async () => {
    const one = await number();
    const phone = room.phone();
    await link(one, phone);
    const [device] = room.simulator.server.account(phone).devices.keys();
    await killWorker(room.worker);
    await room.startWorker();
    await until(
      async () => {
        const status = await room.status(one);
        const connected = (await room.events(one)).filter(
          (event) => event.type === "session.connected",
        );
        return status.number.status === "connected" && connected.length === 2;
      },
      { label: "reconnected", deadlineMs: TAKEOVER_MS },
    );
    assert.deepEqual([...room.simulator.server.account(phone).devices.keys()], [device]);
  });

  it("stopped in order, the next worker takes over at once", async () => {
    const one = await number();
    const phone = room.phone();
    await link(one, phone);
    await stopWorker(room.worker);
    const startedAt = performance.now();
    await room.startWorker();
    await until(
      async () =>
        (await room.events(one)).filter((event) => event.type === "session.connected").length === 2,
      { label: "reconnected", deadlineMs: 8_000 },
    );
    assert.ok(performance.now() - startedAt < 8_000);
  });
});

describe("a server is away", () => {
  it("Redis wiped and gone: nothing changes", async () => {
    const one = await number();
    const phone = room.phone();
    await link(one, phone);
    await room.redis.stop();
    await link(await number(), room.phone());
    assert.equal((await room.status(one)).number.status, "connected");
    await room.redis.wipe();
    await room.redis.start();
    await link(await number(), room.phone());
  });

  it("NATS stopped: numbers link by polling, events follow when it is back", async () => {
    await room.nats.stop();
    const one = await number();
    await link(one, room.phone());
    await room.nats.start();
    await until(async () => (await room.bus.streamState("EVENTS")).lastSeq > 0, {
      label: "the stream",
      deadlineMs: 15_000,
    });
    const ids = new Set((await room.events(one)).map((event) => event.id));
    const seen = new Set<string>();
    const reader = room.bus.consume({
      stream: "EVENTS",
      ordered: true,
      handler: (message) => {
        if (message.msgId !== undefined) seen.add(message.msgId);
      },
    });
    await until(() => [...ids].every((id) => seen.has(id)), {
      label: "all events in the stream",
      deadlineMs: 15_000,
    });
    await reader.close();
  });

  it("Postgres away for 20 s: the connection stays, a drop meanwhile heals, commands work again", async () => {
    const [one, two] = [await number(), await number()];
    const [phone, other] = [room.phone(), room.phone()];
    await link(one, phone);
    await link(two, other);
    const connections = room.simulator.server.stats.connections;
    await room.postgres?.stop();
    for (const device of room.simulator.server.account(other).devices.values())
      device.connection?.drop();
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    await room.postgres?.start();
    await statusIs(two, "connected", 20_000);
    await link(await number(), room.phone());
    assert.equal((await room.status(one)).number.status, "connected");
    const [device] = room.simulator.server.account(phone).devices.values();
    assert.ok(device?.connection, "the other number's connection was never closed");
    assert.ok(room.simulator.server.stats.connections > connections);
  });
});

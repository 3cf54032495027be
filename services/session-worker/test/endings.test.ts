/** Every way WhatsApp ends a connection, and what the number's status and its next step are. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { NumberRow } from "@manyline/db";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

let room: Room;
before(async () => {
  room = await openRoom();
});
after(() => room.close());

type Linked = { one: NumberRow; phone: string };

async function linked(): Promise<Linked> {
  const one = await room.number(await room.company());
  const phone = room.phone();
  await room.command(one, "pair_code", { phone });
  const code = await until(() => room.secret(one), { label: "a code" });
  await room.simulator.server.phone(phone).enterCode(code);
  await is(one, "connected/open");
  return { one, phone };
}
async function is(one: NumberRow, expected: string): Promise<void> {
  await until(
    async () => {
      const { number } = await room.status(one);
      return `${number.status}/${number.reason}` === expected;
    },
    { label: expected },
  );
}
async function connections(one: NumberRow): Promise<number> {
  return (await room.events(one)).filter((event) => event.type === "session.connected").length;
}
async function reconnected(one: NumberRow, times = 2): Promise<void> {
  await until(async () => (await connections(one)) === times, {
    label: `connected ${times} times`,
  });
}

describe("reconnects with the stored credentials", () => {
  for (const [name, fault] of [
    ["a dropped line", { kind: "drop" }],
    ["a closed WebSocket", { kind: "ws-close" }],
    ["the end of the stream", { kind: "xmlstreamend" }],
    ["a stream error without a code", { kind: "stream-error" }],
    ["stream error 500", { kind: "stream-error", args: { code: 500 } }],
    ["stream error 503", { kind: "stream-error", args: { code: 503 } }],
    ["stream error 515", { kind: "stream-error", args: { code: 515 } }],
    ["stream error 516", { kind: "stream-error", args: { code: 516 } }],
    ["stream error 429", { kind: "stream-error", args: { code: 429 } }],
    ["a code nobody knows", { kind: "stream-error", args: { code: 599 } }],
  ] as const) {
    it(name, async () => {
      const { one, phone } = await linked();
      applyFault(room.simulator.server, { ...fault, phone });
      await reconnected(one);
      assert.equal(room.simulator.server.account(phone).devices.size, 1);
    });
  }

  it("a refused upgrade", async () => {
    const { one, phone } = await linked();
    applyFault(room.simulator.server, {
      kind: "refuse-upgrades",
      args: { status: 401 },
      times: 1,
    });
    applyFault(room.simulator.server, { kind: "drop", phone });
    await reconnected(one);
    assert.equal((await room.status(one)).number.isLinked, true, "a proxy's 401 is no logout");
  });
});

describe("stops", () => {
  for (const [reason, expected] of [
    [403, "error/locked"],
    [406, "error/locked"],
    [409, "error/client_refused"],
    [411, "error/multidevice"],
    [402, "error/temp_ban"],
  ] as const) {
    it(`login failure ${reason}: ${expected}, and a person can reconnect`, async () => {
      const { one, phone } = await linked();
      applyFault(room.simulator.server, {
        kind: "login-failure",
        phone,
        args: { reason },
        times: 1,
      });
      applyFault(room.simulator.server, { kind: "drop", phone });
      await is(one, expected);
      const status = await room.status(one);
      assert.equal(status.number.isLinked, true);
      if (reason === 402)
        assert.ok((status.number.until?.getTime() ?? 0) > Date.now() + 86_000_000);
      await room.command(one, "reconnect");
      await reconnected(one);
    });
  }

  it("440: does not fight; a person can reconnect", async () => {
    const { one, phone } = await linked();
    applyFault(room.simulator.server, { kind: "replaced", phone });
    await is(one, "error/replaced");
    const connectionCount = room.simulator.server.stats.connections;
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.equal(room.simulator.server.stats.connections, connectionCount, "no reconnect");
    await room.command(one, "reconnect");
    await reconnected(one);
  });
});

describe("loses the link", () => {
  it("unlinked here while it is on its way back: WhatsApp is told over the next connection", async () => {
    const { one, phone } = await linked();
    applyFault(room.simulator.server, { kind: "refuse-upgrades", args: { status: 503 }, times: 2 });
    applyFault(room.simulator.server, { kind: "drop", phone });
    await is(one, "connecting/reconnecting");
    assert.deepEqual((await room.command(one, "unlink")).result, { wasLinked: true, told: true });
    assert.equal(room.simulator.server.account(phone).devices.size, 0);
    await is(one, "disconnected/unlinked");
  });

  it("unlinked while connected, and while away", async () => {
    const first = await linked();
    room.simulator.server.phone(first.phone).unlink();
    await is(first.one, "disconnected/logged_out");
    const second = await linked();
    applyFault(room.simulator.server, {
      kind: "refuse-upgrades",
      args: { status: 503 },
      times: 3,
    });
    applyFault(room.simulator.server, { kind: "drop", phone: second.phone });
    await is(second.one, "connecting/reconnecting");
    room.simulator.server.phone(second.phone).unlink();
    await is(second.one, "disconnected/logged_out");
    assert.equal((await room.status(second.one)).number.isLinked, false);
  });
});

describe("the fleet", () => {
  it("405: nobody reconnects any more", async () => {
    const [first, second] = [await linked(), await linked()];
    applyFault(room.simulator.server, {
      kind: "min-version",
      args: { version: [2, 9999, 0] },
    });
    applyFault(room.simulator.server, { kind: "drop", phone: first.phone });
    await is(first.one, "error/client_outdated");
    const connectionCount = room.simulator.server.stats.connections;
    applyFault(room.simulator.server, { kind: "drop", phone: second.phone });
    await is(second.one, "error/client_outdated");
    assert.equal(
      room.simulator.server.stats.connections,
      connectionCount,
      "the second did not even try",
    );
    assert.equal((await room.status(second.one)).number.isLinked, true);
  });
});

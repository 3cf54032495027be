/** Our own limits on pairing codes, over their whole course: hour and cooldown are scaled. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

/** The cooldown of 30 minutes passes in 6 s. */
const SCALE = 300;
let room: Room;
before(async () => {
  room = await openRoom({ timeScale: SCALE });
});
after(() => room.close());

describe("limits", () => {
  it("the sixth code in an hour is refused with the minutes, and works after the cooldown", async () => {
    const company = await room.company();
    const one = await room.number(company);
    for (let i = 0; i < 5; i += 1) {
      const given = await room.command(one, "pair_code", { phone: room.phone() });
      assert.equal(given.state, "done", JSON.stringify(given.error));
      await room.command(one, "cancel_pairing");
    }
    const phone = room.phone();
    const refused = await room.command(one, "pair_code", { phone });
    assert.equal(refused.error?.["code"], "RATE_LIMITED");
    assert.equal(refused.error?.["detail"], "Wait 30 minutes");
    // Each number of the company tells of the cooldown by itself, right after the refusal.
    await until(
      async () => (await room.events(one)).some(({ type }) => type === "session.blocked"),
      { label: "the block" },
    );
    assert.ok((await room.status(one)).blockedUntil);
    await until(async () => (await room.events(one)).at(-1)?.type === "session.disconnected", {
      label: "the end of the block",
      deadlineMs: 15_000,
    });
    const again = await room.command(one, "pair_code", { phone });
    assert.equal(again.state, "done");
    assert.equal((again.result as { codesLeft: number }).codesLeft, 4);
  });

  it("five codes an hour for one phone, whatever company asks; no cooldown", async () => {
    const phone = room.phone();
    for (let i = 0; i < 5; i += 1) {
      const one = await room.number(await room.company());
      assert.equal((await room.command(one, "pair_code", { phone })).state, "done");
      await room.command(one, "cancel_pairing");
    }
    const one = await room.number(await room.company());
    const refused = await room.command(one, "pair_code", { phone });
    assert.equal(refused.error?.["code"], "RATE_LIMITED");
    assert.equal(refused.error?.["scope"], "phone");
    assert.equal((await room.status(one)).blockedUntil, null);
    assert.equal((await room.command(one, "pair_code", { phone: room.phone() })).state, "done");
  });

  it("joining a live attempt and a phone that is none cost nothing", async () => {
    const one = await room.number(await room.company());
    const phone = room.phone();
    const given = await Promise.all([1, 2, 3].map(() => room.command(one, "pair_code", { phone })));
    assert.equal(new Set(given.map((command) => JSON.stringify(command.result))).size, 1);
    assert.equal(
      (await room.command(one, "pair_code", { phone: "123" })).error?.["code"],
      "INVALID_PHONE_FORMAT",
    );
    assert.equal((await room.status(one)).codesLeft, 4);
  });
});

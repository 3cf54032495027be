/** How fast numbers of the Cloud API go: as Meta says of each of them, against the simulated Meta. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { NumberRow } from "@manyline/db";
import { until } from "@manyline/testkit";
import { metaPace } from "../src/domain/pace.ts";
import { type Line, openMetaRoom } from "./meta-room.ts";

const parts = await openMetaRoom();
const { meta, line, setPlace, addNumber, reaches, send } = parts;
after(() => parts.close());

/** Puts so many messages into the queue, each to somebody else who has written. */
async function sendMany(number: NumberRow, { number: { id } }: Line, count: number): Promise<void> {
  const phones = Array.from(
    { length: count },
    (_, nth) => `1555020${String(nth).padStart(4, "0")}`,
  );
  for (const phone of phones) {
    meta.say(id, phone, "hello");
    await send(number, {}, phone);
  }
}

const sentAt = ({ number: { id } }: Line): number[] =>
  meta.sending.sent
    .filter(({ phoneNumberId }) => phoneNumberId === id)
    .map(({ at }) => at.getTime());

const allSent = (one: Line, count: number): Promise<number[]> =>
  until(
    () => {
      const times = sentAt(one);
      return times.length >= count ? times : undefined;
    },
    { label: `${count} sent`, deadlineMs: 60_000 },
  );

/** The most messages that Meta got within any `ms`. */
function mostWithin(times: readonly number[], ms: number): number {
  const counts = times.map((from) => times.filter((at) => at >= from && at < from + ms).length);
  return Math.max(0, ...counts);
}

describe("the pace of a Meta number", () => {
  it("that a phone has as well is 20 a second, whatever Meta would take", async () => {
    const one = line();
    Object.assign(one.number, { isOnApp: true, perSecond: 500 });
    const number = await addNumber();
    await sendMany(number, one, 120);
    await setPlace(number, one.place);
    await reaches(number, "connected", "open");
    const times = await allSent(one, 120);
    const { perSecond, burst, underWay } = metaPace({ isOnApp: true });
    // What was under way when the machine stood still comes at once, and a burst after it.
    const most = underWay + burst + 2 * perSecond;
    assert.ok(mostWithin(times, 2_000) <= most, `${mostWithin(times, 2_000)} in 2 s`);
    assert.equal(times.length, 120);
  });
});

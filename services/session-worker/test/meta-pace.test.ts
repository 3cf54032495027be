/** How fast numbers of the Cloud API go: as Meta says of each of them, against the simulated Meta. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, describe, it } from "node:test";
import { type NumberRow, openDatabase } from "@manyline/db";
import { until } from "@manyline/testkit";
import { metaPace } from "../src/domain/pace.ts";
import { Graph, GraphRefusal } from "../src/providers/meta/graph.ts";
import { type Line, openMetaRoom, takeWebhook } from "./meta-room.ts";
import { sendStates } from "./sending.ts";

const parts = await openMetaRoom();
const { meta, room, line, setPlace, addNumber, reaches, send, told } = parts;
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

  it("is another as soon as Meta has told that it is, without a restart; what it says is kept", async () => {
    const one = line();
    one.number.isOnApp = true;
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    // As many are under way as may be: each for so long.
    const effect = { delayMs: 2_000 };
    meta.faults.add({ part: "messages", phoneNumberId: one.number.id, effect });
    const most = metaPace({ isOnApp: true }).underWay;
    await sendMany(number, one, most + 8);
    const slow = await allSent(one, most + 8);
    assert.ok(mostWithin(slow, 1_900) <= most, `${mostWithin(slow, 1_900)} at once`);
    const kept = async () => {
      const rows = await room.superuser<{ settings: Record<string, unknown> }>(
        `select settings from numbers where number_no = ${number.numberNo}`,
      );
      return rows[0]?.settings ?? {};
    };
    assert.equal((await kept())["isOnApp"], true);

    Object.assign(one.number, { isOnApp: false, perSecond: 1_000, quality: "YELLOW" });
    await using db = openDatabase({ url: room.database.urls.ingest, applicationName: "test" });
    const value = { display_phone_number: `+${one.number.phone}`, event: "THROUGHPUT_UPGRADE" };
    await takeWebhook(db, room, one, value, "phone_number_quality_update");
    const settings = await until(
      async () => {
        const now = await kept();
        return now["throughput"] === "HIGH" ? now : undefined;
      },
      { label: "the new level", deadlineMs: 15_000 },
    );
    assert.deepEqual([settings["isOnApp"], settings["quality"]], [false, "YELLOW"]);
    await sendMany(number, one, most + 8);
    const fast = (await allSent(one, 2 * (most + 8))).slice(most + 8);
    assert.ok(mostWithin(fast, 1_900) > most, `${mostWithin(fast, 1_900)} at once`);
  });
});

describe("a Meta number that Meta finds too fast", () => {
  const part = "messages" as const;
  const connected = async (one: Line): Promise<NumberRow> => {
    const number = await addNumber(one.place);
    await reaches(number, "connected", "open");
    return number;
  };
  /** The waits that were told, ms. */
  const waits = async (number: NumberRow): Promise<number[]> =>
    (await room.events(number)).flatMap(({ type, data }) => {
      const { since, until: end } = Object(data["restriction"]) as Record<string, string>;
      return type === "number.restricted" && since && end
        ? Date.parse(end) - Date.parse(since)
        : [];
    });
  const wait = (number: NumberRow): Promise<number> =>
    until(async () => (await waits(number))[0], { label: "told to wait" });

  it("waits for as long as Meta asks, and no other number does", async () => {
    const [one, other] = [line(), line()];
    const [number, well] = [await connected(one), await connected(other)];
    const error = { code: 130_429, httpStatus: 429, retryAfter: 5 };
    const fault = { part, phoneNumberId: one.number.id, when: { next: 1 } };
    meta.faults.add({ ...fault, effect: { error } });
    const startedAt = Date.now();
    const held = await send(number);
    assert.ok((await wait(number)) <= 5_000);
    await told(well, await send(well), "message.sent");
    assert.deepEqual(sentAt(one), []);
    await told(number, held, "message.sent");
    assert.ok((sentAt(one)[0] ?? 0) - startedAt >= 5_000, "not before that");
  });

  it("waits ten minutes at most, whatever Meta asks, and a minute when it asks nothing", async () => {
    for (const [more, leastMs, mostMs] of [
      [{ code: 80_007, retryAfter: 86_400 }, 60_001, 600_000],
      [{ code: 4 }, 1, 60_000],
    ] as const) {
      const one = line();
      const number = await connected(one);
      meta.faults.add({ part, phoneNumberId: one.number.id, effect: { error: more } });
      await send(number);
      const ms = await wait(number);
      assert.ok(ms >= leastMs && ms <= mostMs, String(ms));
    }
  });

  it("says so once, however many were under way", async () => {
    const one = line();
    const number = await connected(one);
    const fault = { part, phoneNumberId: one.number.id };
    // All are there before the first one is refused.
    meta.faults.add({ ...fault, effect: { delayMs: 1_500 } });
    meta.faults.add({ ...fault, effect: { error: { code: 130_429, retryAfter: 120 } } });
    await sendMany(number, one, 10);
    const states = () => sendStates(room, { number, phone: "1" });
    await until(async () => (await states())["sending"] === 10, { label: "all under way" });
    await until(async () => (await states())["queued"] === 10, { label: "all held" });
    assert.equal((await waits(number)).length, 1);
  });

  it("by something before Meta's servers, which does not speak JSON, is told so", async () => {
    const server = createServer((_, response) => {
      response.writeHead(429, { "retry-after": "7" }).end("too many");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const graph = new Graph({ url, version: "v26.0", timeoutMs: 10_000 });
    const call = graph.call("POST", "1/messages", "token", { json: {} });
    await assert.rejects(call, (error: unknown) => {
      assert.ok(error instanceof GraphRefusal);
      assert.deepEqual([error.httpStatus, error.retryAfterMs], [429, 7_000]);
      return true;
    });
    server.close();
    server.closeAllConnections();
  });
});

/**
 * Signed webhooks of several companies, in batches, twice and in disorder, while webhook-ingest is killed in every
 * round, and NATS and Postgres in some; then what the simulated Meta told is compared with the subscriber and the
 * database. Meta sends again what was not answered with 200, so nothing may be missing; and nothing may be there twice.
 *
 * CHAOS_ROUNDS (3; 30 are the whole check), CHAOS_SEED (printed), CHAOS_KEEP (a folder that gets the log).
 */
import assert from "node:assert/strict";
import { cpus } from "node:os";
import { resolve } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { Envelope } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { createRandom } from "./random.ts";
import { WebhookGround } from "./webhook-ground.ts";
import { WebhookLoad } from "./webhook-load.ts";

const ROUNDS = Number(process.env["CHAOS_ROUNDS"] ?? 3);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 1e6));
const KEEP = process.env["CHAOS_KEEP"];
/** Webhooks that are taken between two blows. */
const TAKEN_BETWEEN = 25;
const AWAY_MS = 1_500;
const SETTLE_MS = 120_000;

type Data = Record<string, unknown>;
const dataOf = ({ data }: Envelope): Data => Object(data) as Data;
const idOf = (event: Envelope): string => String(dataOf(event)["providerMessageId"]);

test(`webhooks through ${ROUNDS} rounds of kills: none lost, none twice, none in a wrong company`, async (t) => {
  assert.ok(Number.isInteger(ROUNDS) && ROUNDS > 0, "CHAOS_ROUNDS is a count");
  t.diagnostic(`seed ${SEED}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}`);
  const random = createRandom(SEED);
  await using ground = await WebhookGround.open({
    companies: 5,
    numbersEach: 2,
    logs: KEEP === undefined ? undefined : resolve(KEEP),
  });
  const { meta, postgres, nats, database, seen } = ground;
  await using load = new WebhookLoad(ground, random);
  const kills = { ingest: 0, nats: 0, postgres: 0 };
  const answers = new Map<number, number>();
  let counted = new Date(0);
  /** Only so many of the latest tries are remembered, so they are counted as they come. */
  const countAnswers = (): void => {
    const fresh = meta.deliveries.attempts.filter(({ at }) => at > counted);
    counted = fresh.at(-1)?.at ?? counted;
    for (const { status } of fresh) answers.set(status, (answers.get(status) ?? 0) + 1);
  };
  const underLoad = async (): Promise<void> => {
    const goal = meta.deliveries.taken + TAKEN_BETWEEN;
    await until(() => meta.deliveries.taken >= goal, { deadlineMs: 60_000, label: "load" });
    await delay(random.between(0, 200));
  };

  load.start();
  for (let round = 0; round < ROUNDS; round += 1) {
    await underLoad();
    await ground.killIngest();
    kills.ingest += 1;
    await delay(random.between(0, 500));
    await ground.startIngest();
    await underLoad();
    if (round % 3 === 1) {
      await nats.kill("SIGKILL");
      kills.nats += 1;
      await underLoad();
      await nats.start();
    }
    if (round % 3 === 2) {
      countAnswers();
      await postgres.kill("SIGKILL");
      kills.postgres += 1;
      await delay(AWAY_MS);
      await postgres.start();
    }
    countAnswers();
  }
  await underLoad();
  await load.stop();
  await until(() => meta.deliveries.waiting === 0, { deadlineMs: SETTLE_MS, label: "all taken" });
  countAnswers();

  const ours = load.written.filter(({ line }) => line.companyId !== null);
  const theirs = new Set(
    load.written.filter(({ line }) => line.companyId === null).map((w) => w.id),
  );
  const states = load.told.filter(({ line }) => line.companyId !== null);
  const events = (type: string): Envelope[] => seen.filter((event) => event.type === type);
  const outcomes = ["message.sent", "message.delivered", "message.read"];
  await until(
    () =>
      events("message.received").length >= ours.length &&
      outcomes.every((type) => events(type).length >= states.length),
    { deadlineMs: SETTLE_MS, intervalMs: 200, label: "everything at the subscriber" },
  ).catch(() => t.diagnostic("not everything came to the subscriber"));
  // Whatever would come twice has had the time to.
  await delay(2_000);

  const judge = (
    wanted: readonly { id: string; line: { companyId: string | null } }[],
    type: string,
  ) => {
    const told = Map.groupBy(events(type), idOf);
    return {
      lost: wanted.filter(({ id }) => !told.has(id)).length,
      twice: [...told.values()].filter(({ length }) => length > 1).length,
      astray: wanted.filter(({ id, line }) =>
        told.get(id)?.some(({ companyid }) => companyid !== line.companyId),
      ).length,
    };
  };
  const found = {
    received: judge(ours, "message.received"),
    ...Object.fromEntries(outcomes.map((type) => [type, judge(states, type)])),
  };
  const texts = new Map(ours.map(({ id, text }) => [id, text]));
  const otherText = events("message.received").filter(
    (event) => dataOf(event)["text"] !== texts.get(idOf(event)),
  ).length;
  const rows = await asSuperuser<{ id: string; companyNo: number }>(
    database,
    "select provider_message_id as id, company_no from messages where direction = 'in'",
  );
  const stored = new Map(rows.map(({ id, companyNo }) => [id, companyNo]));
  const [usage] = await asSuperuser<{ priced: number; delivered: number }>(
    database,
    "select sum(priced)::int as priced, sum(delivered)::int as delivered from number_usage",
  );
  const [parked] = await asSuperuser<{ pieces: number; times: number }>(
    database,
    "select sum(pieces)::int as pieces, sum(times)::int as times from unroutable",
  );
  const [open] = await asSuperuser<{ count: number }>(
    database,
    "select count(*)::int as count from event_publications where published_at is null",
  );
  t.diagnostic(
    `kill -9: webhook-ingest ${kills.ingest}, NATS ${kills.nats}, Postgres ${kills.postgres}`,
  );
  t.diagnostic(
    `webhooks: ${[...answers].map(([status, count]) => `${status || "no answer"} × ${count}`).join(", ")}`,
  );
  t.diagnostic(
    `messages written ${ours.length}, statuses told ${states.length * 3}, of a number nobody has ${theirs.size} (kept ${parked?.pieces} pieces, ${parked?.times} times)`,
  );
  t.diagnostic(
    `events at the subscriber ${seen.length}, again under their id ${ground.repeats}; ${JSON.stringify(found)}`,
  );
  t.diagnostic(`usage: priced ${usage?.priced}, delivered ${usage?.delivered}`);

  for (const [type, one] of Object.entries(found)) {
    assert.deepEqual(one, { lost: 0, twice: 0, astray: 0 }, type);
  }
  assert.equal(otherText, 0, "messages with another text");
  assert.equal(seen.filter((event) => theirs.has(idOf(event))).length, 0, "of nobody's number");
  assert.equal(rows.length, stored.size, "rows of messages, each once");
  assert.equal(stored.size, ours.length, "rows of messages");
  assert.ok(ours.every(({ id, line }) => stored.get(id) === line.companyNo));
  assert.deepEqual([usage?.priced, usage?.delivered], [states.length, states.length], "usage");
  assert.ok(theirs.size === 0 || (parked?.pieces ?? 0) >= theirs.size * 4, "kept for nobody");
  assert.equal(open?.count, 0, "events that were not published");
  if (kills.postgres > 0) assert.ok((answers.get(503) ?? 0) > 0, "503 while Postgres was away");
});

/** What every worker needs goes away for half a minute, while messages come and go: each is accounted for. CHAOS_KEEP: a folder that gets the processes' logs. */
import assert from "node:assert/strict";
import { resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import type { Fleet } from "../../src/testing/fleet.ts";
import { bentAuthStates } from "./auth-state.ts";
import { Load } from "./load.ts";
import { openMessageFacts } from "./message-facts.ts";
import { MessageLoad } from "./message-load.ts";
import { assertNothingWrong, judgeMessages } from "./message-report.ts";
import { createRandom } from "./random.ts";
import { Scenario } from "./scenario.ts";
import { LIMIT_MS } from "./status-sampler.ts";

const OUTAGE_MS = 30_000;
/** Longer than a query may take, so that the workers give up what Postgres carries out afterwards. */
const HANG_MS = 20_000;
const WORKERS = 3;
const KEEP = process.env["CHAOS_KEEP"];
const NUMBERS = 60;
/** Within so long every number is or was connected again; a machine that is busy with other things gets three times as long. */
const BACK_MS = 10_000;
const BUSY = 3;
const RECLAIM_LIMIT_MS = 36_000;
/** Messages each way, and how often. */
const BURST = 2;
const BURST_EVERY_MS = 500;

test("Postgres is down for 30 s: nobody takes over, and what broke is back within 10 s", async (t) => {
  await withoutPostgres(t, {
    outageMs: OUTAGE_MS,
    backWithinMs: BACK_MS,
    begin: ({ postgres }) => postgres.stop(),
    end: ({ postgres }) => postgres.start(),
  });
});

test("Postgres hangs for 20 s, and goes on with whatever it was asked before", async (t) => {
  await withoutPostgres(t, {
    outageMs: HANG_MS,
    backWithinMs: 2 * BACK_MS,
    begin: ({ postgres }) => postgres.kill("SIGSTOP"),
    end: ({ postgres }) => postgres.kill("SIGCONT"),
  });
});

async function withoutPostgres(
  t: TestContext,
  outage: {
    outageMs: number;
    backWithinMs: number;
    begin: (fleet: Fleet) => Promise<void>;
    end: (fleet: Fleet) => Promise<void>;
  },
): Promise<void> {
  await using scenario = await openScenario();
  const { fleet, audit, traffic } = scenario;
  await using messages = await startMessages(scenario);
  await using load = new Load(fleet, createRandom(1));
  load.start();
  await delay(2_000);
  const before = (await audit.changes()).length;
  await outage.begin(fleet);
  const least = await leastConnected(scenario, outage.outageMs);
  await outage.end(fleet);
  const backMs = await allBack(scenario);
  await scenario.settle("the outage of Postgres");
  // Longer than a lease: whoever wanted to take over would have done so.
  await delay(12_000);
  await load.stop();
  const changes = (await audit.changes()).slice(before);
  t.diagnostic(
    `connected during the outage: at least ${least} of ${NUMBERS}; each again ${Math.round(backMs)} ms after it (bar ${outage.backWithinMs}); changes of owner ${changes.length}`,
  );
  t.diagnostic(`reconnect commands: ${[...load.answers].map((one) => one.join(" × ")).join(", ")}`);
  await messages.judge(t);
  assert.deepEqual(changes, [], "changes of owner");
  assert.ok(backMs <= BUSY * outage.backWithinMs, `back after ${backMs} ms`);
  await scenario.settle("the last reconnect commands");
  assert.deepEqual(await audit.staleWrites(traffic.clockStepMs), []);
  assert.deepEqual(traffic.staleStanzas(await audit.changes()), []);
  assert.deepEqual(await bentAuthStates(fleet, audit), []);
}

test("NATS is down for 30 s: takeovers and commands work, and no event is lost", async (t) => {
  await using scenario = await openScenario();
  const { fleet, audit } = scenario;
  await using messages = await startMessages(scenario);
  scenario.sampler.start();
  const downAt = performance.now();
  await fleet.nats.stop();
  await survives(t, scenario);
  await delay(Math.max(0, OUTAGE_MS - (performance.now() - downAt)));
  await fleet.nats.start();
  await until(
    async () => {
      const [row] = await audit.query<{ count: number }>(
        "select count(*)::int as count from event_publications where published_at is null",
      );
      return row?.count === 0;
    },
    { deadlineMs: 60_000, label: "every event published" },
  );
  await scenario.settle("the outage of NATS");
  await messages.judge(t);
  await noHarm(scenario);
});

test("Redis is down: nothing changes but the copies in it", async (t) => {
  await using scenario = await openScenario();
  await using messages = await startMessages(scenario);
  scenario.sampler.start();
  await scenario.fleet.redis.stop();
  await survives(t, scenario);
  await scenario.fleet.redis.start();
  await scenario.settle("the outage of Redis");
  await messages.judge(t);
  await noHarm(scenario);
});

function openScenario(): Promise<Scenario> {
  const logs = KEEP === undefined ? {} : { logs: resolve(KEEP) };
  return Scenario.open({ workers: WORKERS, companies: NUMBERS, ...logs });
}

/** People and programs write without a pause, until they are judged. */
async function startMessages(
  scenario: Scenario,
): Promise<AsyncDisposable & { judge: (t: TestContext) => Promise<void> }> {
  const { fleet } = scenario;
  const facts = openMessageFacts(fleet);
  const load = await MessageLoad.open(fleet, createRandom(2));
  load.keepWriting(BURST, BURST_EVERY_MS);
  return {
    judge: async (t) => {
      await load.finish();
      assert.ok(load.written.length > 0 && load.accepted.length > 0, "messages were written");
      assertNothingWrong(await judgeMessages(t, load, facts));
    },
    [Symbol.asyncDispose]: async () => {
      load.stop();
      await facts[Symbol.asyncDispose]();
    },
  };
}

/** A worker is killed and one asked to leave; commands are carried out. */
async function survives(t: TestContext, scenario: Scenario): Promise<void> {
  const { fleet } = scenario;
  const [number] = fleet.numbers;
  assert.ok(number);
  const reconnect = () =>
    fleet.rest("POST", `/api/whatsapp/sessions/${number.companyId}/reconnect`, {});
  assert.equal((await reconnect()).status, 202);
  const [killed] = scenario.running;
  assert.ok(killed);
  await scenario.kill(killed);
  await scenario.settle("kill -9");
  await scenario.join();
  const [stopped] = scenario.running;
  assert.ok(stopped);
  await stopped.stop();
  await scenario.settle("SIGTERM");
  assert.equal((await reconnect()).status, 202);
  for (const { label, shards, ms } of scenario.reclaims) {
    t.diagnostic(`kill -9 ${label}: ${shards} shards reclaimed in ${Math.round(ms)} ms`);
    assert.ok(ms <= RECLAIM_LIMIT_MS);
  }
}

async function noHarm(scenario: Scenario): Promise<void> {
  const { audit, traffic, sampler, fleet } = scenario;
  await scenario.calm();
  await sampler.stop();
  assert.deepEqual(sampler.mismatches(LIMIT_MS), []);
  assert.deepEqual(await audit.staleWrites(traffic.clockStepMs), []);
  assert.deepEqual(traffic.staleStanzas(await audit.changes()), []);
  assert.deepEqual(await bentAuthStates(fleet, audit), []);
}

/** How many numbers were connected at the worst moment of the next `ms`. */
/**
 * Milliseconds until each number was seen connected: people go on pressing "reconnect", so there may be no moment
 * at which all are.
 */
async function allBack({ fleet, traffic }: Scenario): Promise<number> {
  const begunAt = performance.now();
  let away = fleet.numbers;
  await until(
    () => {
      away = away.filter((one) => traffic.labelOf(one) === undefined);
      return away.length === 0;
    },
    { deadlineMs: 90_000, intervalMs: 50, label: "every number connected again" },
  );
  return performance.now() - begunAt;
}

async function leastConnected({ fleet, traffic }: Scenario, ms: number): Promise<number> {
  const endsAt = performance.now() + ms;
  let least = fleet.numbers.length;
  while (performance.now() < endsAt) {
    least = Math.min(least, fleet.numbers.filter((one) => traffic.labelOf(one)).length);
    await delay(100);
  }
  return least;
}

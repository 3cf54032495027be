/**
 * Rounds of everything that happens to workers, on real processes and servers, with load on them. What counts is
 * what Postgres noted of every write and the simulated WhatsApp of every connection.
 *
 * CHAOS_ROUNDS (5), CHAOS_SEED (printed; the same seed makes the same choices), CHAOS_WORKERS (4),
 * CHAOS_NUMBERS (200), CHAOS_KEEP (a folder that gets the processes' logs and `findings.json`).
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { bentAuthStates } from "./auth-state.ts";
import { Load } from "./load.ts";
import { createRandom, type Random } from "./random.ts";
import { Scenario } from "./scenario.ts";
import { LIMIT_MS } from "./status-sampler.ts";
import { percentile } from "./traffic.ts";

const ROUNDS = figure("CHAOS_ROUNDS", 5);
const SEED = figure("CHAOS_SEED", Math.floor(Math.random() * 1e6));
const WORKERS = figure("CHAOS_WORKERS", 4);
const NUMBERS = figure("CHAOS_NUMBERS", 200);
const KEEP = process.env["CHAOS_KEEP"];

/** The bound is 12 s; a machine that is busy with other things may need longer, but not three times as long. */
const RECLAIM_BAR_MS = 12_000;
const RECLAIM_LIMIT_MS = 3 * RECLAIM_BAR_MS;
/** From a blow that is over until everything is connected; mostly it takes a second. */
const SETTLE_LIMIT_MS = 60_000;
const MOVES_BAR = 1.1;
/** A connection that was replaced is closed within 2 s by a process that was frozen; until then there are two. */
const OVERLAP_LIMIT_MS = 5_000;
/** After the longest deadline of a command. */
const COMMAND_MS = 26_000;

function figure(name: string, fallback: number): number {
  const text = process.env[name];
  const value = Number(text ?? fallback);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name}=${text} is no count`);
  return value;
}

test(`one owner per number through ${ROUNDS} rounds`, async (t) => {
  t.diagnostic(
    `seed ${SEED}, ${WORKERS} workers, ${NUMBERS} numbers, ${cpus().length} × ${cpus()[0]?.model ?? "?"}`,
  );
  const random = createRandom(SEED);
  await using scenario = await Scenario.open({
    workers: WORKERS,
    companies: NUMBERS,
    ...(KEEP === undefined ? {} : { logs: resolve(KEEP) }),
  });
  await using load = new Load(scenario.fleet, random);
  const rollouts: number[] = [];
  const handOvers: number[] = [];
  scenario.sampler.start();
  load.start();

  const acts: Record<string, () => Promise<void>> = {
    "kill -9, a replacement joins": async () => {
      const victim = random.pick(await scenario.owning());
      await Promise.all([scenario.kill(victim), scenario.join()]);
    },
    "SIGTERM, then a replacement joins": async () => {
      const since = Date.now();
      await random.pick(await scenario.owning()).stop();
      await scenario.settle("SIGTERM");
      handOvers.push(...scenario.traffic.gaps(since));
      await scenario.join();
    },
    "SIGSTOP past the lease, SIGCONT": async () => {
      await scenario.freeze(random.pick(await scenario.owning()), random.between(0, 4_000));
    },
    "kill -9 and SIGSTOP at once": async () => {
      const [killed, frozen] = random.shuffled(await scenario.owning());
      assert.ok(killed && frozen);
      const frozenFor = random.between(0, 4_000);
      await Promise.all([scenario.kill(killed), scenario.freeze(frozen, frozenFor)]);
      await scenario.join();
    },
    "a rollout": async () => {
      rollouts.push(await scenario.rollOut());
    },
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const name of drawRound(random, round)) {
      const begunAt = performance.now();
      await acts[name]?.();
      const settledMs = await scenario.settle(name);
      // Work on the settled fleet for a moment, so that the next blow hits it in its everyday state.
      await delay(random.between(200, 1_000));
      t.diagnostic(
        `round ${round}: ${name}: ${seconds(performance.now() - begunAt)}, of which ${seconds(settledMs)} until all were connected`,
      );
    }
  }
  await load.stop();
  await scenario.settle("the last round");
  // Whoever joined last still takes its share; auth states are read under the epochs of now.
  await scenario.calm();
  await scenario.sampler.stop();
  await report(t, scenario, load, { rollouts, handOvers });
});

/** Three blows in a random order; a rollout every other round. */
function drawRound(random: Random, round: number): string[] {
  const blows =
    random.next() < 0.5
      ? ["kill -9, a replacement joins", "SIGSTOP past the lease, SIGCONT"]
      : ["kill -9 and SIGSTOP at once"];
  const rollout = round % 2 === 1 ? ["a rollout"] : [];
  return random.shuffled([...blows, ...rollout, "SIGTERM, then a replacement joins"]);
}

async function report(
  t: TestContext,
  scenario: Scenario,
  load: Load,
  { rollouts, handOvers }: { rollouts: number[]; handOvers: number[] },
): Promise<void> {
  const { audit, traffic, sampler, fleet } = scenario;
  const changes = await audit.changes();
  const staleWrites = await audit.staleWrites(traffic.clockStepMs);
  const staleStanzas = traffic.staleStanzas(changes);
  const staleLogins = traffic.staleLogins(changes);
  const { lateStanzas, overlaps: found } = fleet.simulator.server.record.summary();
  const overlaps = traffic.overlaps(scenario.pauses);
  const mismatches = sampler.mismatches();
  const gaps = handOvers.toSorted((a, b) => a - b);
  const bent = await bentAuthStates(fleet, audit);
  const unfinished = await audit.query<{ verb: string; state: string }>(
    `select verb, state from commands
      where finished_at is null and created_at < clock_timestamp() - $1::int * interval '1 millisecond'`,
    [COMMAND_MS],
  );
  const claims = changes.filter(({ isRelease }) => !isRelease).length;
  for (const line of [
    `writes of owners ${await audit.countWrites()}, accepted stale writes ${staleWrites.length}`,
    `stanzas ${traffic.count}, of a stale owner ${staleStanzas.length}, after a newer login ${lateStanzas}; logins of a stale owner ${staleLogins.length}`,
    `overlap of two connections of a number: ${overlaps.count} times, at most ${overlaps.maxMs} ms, ${overlaps.totalMs} ms in all`,
    ...scenario.reclaims.map(
      ({ how, label, shards, ms }) =>
        `${how} ${label}: ${shards} shards reclaimed in ${seconds(ms)} (bar ${seconds(RECLAIM_BAR_MS)})`,
    ),
    `moves per number in a rollout: ${rollouts.map((moves) => moves.toFixed(2)).join(", ")} (bar ${MOVES_BAR})`,
    `SIGTERM, gap per number: p50 ${percentile(gaps, 0.5)} ms, p99 ${percentile(gaps, 0.99)} ms, max ${gaps.at(-1) ?? 0} ms (${gaps.length} gaps)`,
    `connected again at most ${Math.max(...scenario.settled)} ms after a blow was over`,
    `${claims} claims of shards by ${fleet.workers.size} workers`,
    `status against the simulator: ${sampler.figures}, mismatches beyond 2 s ${mismatches.length}, the longest ${Math.max(0, ...mismatches.map(({ ms }) => ms))} ms`,
    `pre-keys asked for ${load.preKeyRequests} times, bent auth states ${bent.length}`,
    `reconnect commands: ${[...load.answers].map(([answer, count]) => `${answer} × ${count}`).join(", ")}`,
    `longest stall of the test's own process ${Math.round(scenario.loopDelay.max / 1e6)} ms, clock set by ${traffic.clockStepMs} ms`,
  ]) {
    t.diagnostic(line);
  }
  for (const line of bent.slice(0, 5)) t.diagnostic(`bent: ${line}`);
  const late = found.filter((one) => one.lateStanzas > 0);
  if (KEEP !== undefined) {
    const findings = {
      staleWrites,
      staleStanzas,
      staleLogins,
      mismatches,
      bent,
      unfinished,
      overlaps: found,
      changes,
      logins: fleet.simulator.server.record.list(),
      uploads: traffic.uploads,
      writes: await audit.query("select * from chaos.writes order by at"),
    };
    await writeFile(join(KEEP, "findings.json"), JSON.stringify(findings, null, 1));
  }

  assert.ok((await audit.countWrites()) > fleet.numbers.length, "the audit has seen writes");
  assert.ok(load.preKeyRequests > 0 && traffic.count > 0);
  assert.deepEqual(staleWrites, [], "accepted stale writes");
  assert.deepEqual(staleStanzas, [], "stanzas of a stale owner");
  assert.deepEqual(late, [], "stanzas after a newer login");
  assert.deepEqual(sampler.mismatches(LIMIT_MS), [], `statuses wrong for more than ${LIMIT_MS} ms`);
  assert.deepEqual(bent, [], "bent auth states");
  assert.deepEqual(unfinished, [], "commands without an end");
  assert.ok(
    overlaps.maxMs <= OVERLAP_LIMIT_MS + traffic.clockStepMs,
    `an overlap of ${overlaps.maxMs} ms`,
  );
  assert.ok(Math.max(...scenario.settled) <= SETTLE_LIMIT_MS, `${scenario.settled.join()} ms`);
  for (const { how, label, ms } of scenario.reclaims) {
    // A lease ends by the clock that was set.
    assert.ok(
      ms <= RECLAIM_LIMIT_MS + traffic.clockStepMs,
      `${how} ${label}: reclaimed after ${ms} ms`,
    );
  }
  for (const moves of rollouts) assert.ok(moves <= MOVES_BAR, `${moves} moves per number`);
  await assertAllLogIn(t, scenario);
  assert.deepEqual(fleet.simulator.server.unhandled, []);
  assert.deepEqual(fleet.simulator.server.errors, []);
}

/** The stored credentials are good: a worker that knows nothing else connects every number. */
async function assertAllLogIn(t: TestContext, scenario: Scenario): Promise<void> {
  await Promise.all(scenario.running.map((worker) => worker.stop()));
  const begunAt = performance.now();
  await scenario.join();
  await scenario.settle("a cold start");
  t.diagnostic(
    `cold start of one worker with all numbers: ${seconds(performance.now() - begunAt)}`,
  );
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/**
 * Messages in and out over linked numbers of several companies, while workers and the gateway are killed and
 * ownership moves; then everything that was written is compared with everything that came of it. That a phone
 * drops a repeated id is the simulated phones' assumption; so repeats are counted, and told.
 *
 * CHAOS_ROUNDS (1; each 200 in, 200 out and 3 kills, so 10 are the whole check), CHAOS_SEED (printed; the same
 * seed makes the same choices), CHAOS_KEEP (a folder that gets the processes' logs and `messages.json`).
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { openFleetAround, type Fleet, type SimulatedWhatsApp } from "../../src/testing/fleet.ts";
import type { FleetWorker } from "../../src/testing/fleet-worker.ts";
import { startSimulatorProcess } from "../../src/testing/simulator-process.ts";
import { openMessageFacts, type MessageFacts } from "./message-facts.ts";
import { MessageLoad } from "./message-load.ts";
import { assertNothingWrong, judgeMessages, splitChats } from "./message-report.ts";
import { createRandom, type Random } from "./random.ts";

const ROUNDS = Number(process.env["CHAOS_ROUNDS"] ?? 1);
const SEED = Number(process.env["CHAOS_SEED"] ?? Math.floor(Math.random() * 1e6));
const KEEP = process.env["CHAOS_KEEP"];
const WORKERS = 4;
const COMPANIES = 10;
const NUMBERS_EACH = 4;
const BURSTS = 25;
const BURST = 8;
/** So long after the beginning of a burst most of it is on its way. */
const INTO_BURST_MS = 120;
const SETTLE_MS = 90_000;

class Chaos {
  readonly #fleet: Fleet<SimulatedWhatsApp>;
  readonly #facts: MessageFacts;
  readonly #load: MessageLoad;
  readonly #random: Random;
  #burst = Promise.withResolvers<void>();
  workerKills = 0;
  gatewayKills = 0;
  handOvers = 0;

  constructor(
    fleet: Fleet<SimulatedWhatsApp>,
    facts: MessageFacts,
    load: MessageLoad,
    random: Random,
  ) {
    this.#fleet = fleet;
    this.#facts = facts;
    this.#load = load;
    this.#random = random;
  }

  /** Bursts of messages, and blows into the midst of them. */
  async round(): Promise<void> {
    const blows = this.#random.shuffled([
      () => this.#killWorker(),
      () => this.#killWorker(),
      () => this.#killGateway(),
      () => this.#handOver(),
    ]);
    await Promise.all([this.#write(), this.#strike(blows)]);
    await this.settle();
  }

  /** Waits until every number is connected and owned. */
  async settle(): Promise<void> {
    await until(
      async () => {
        const [row] = await this.#facts.query<{ count: number }>(
          `select count(*)::int as count from numbers n
            join companies c on c.company_no = n.company_no
            join shard_leases l on l.shard_id = c.shard_id
            where n.status <> 'connected' or l.owner is null or l.expires_at < clock_timestamp()`,
        );
        return row?.count === 0;
      },
      { deadlineMs: SETTLE_MS, intervalMs: 100, label: "all numbers connected" },
    );
  }

  async #write(): Promise<void> {
    for (let nth = 0; nth < BURSTS; nth += 1) {
      await delay(this.#random.between(200, 1_200));
      this.#load.burst(BURST, BURST);
      this.#burst.resolve();
      this.#burst = Promise.withResolvers();
    }
    this.#burst.resolve();
  }

  async #strike(blows: readonly (() => Promise<void>)[]): Promise<void> {
    for (const blow of blows) {
      await delay(this.#random.between(0, 2_000));
      await Promise.race([this.#burst.promise, delay(2_000)]);
      await delay(this.#random.between(0, INTO_BURST_MS));
      await blow();
    }
  }

  async #killWorker(): Promise<void> {
    const victim = await this.#owner();
    await victim.kill();
    this.workerKills += 1;
    await this.#fleet.startWorker();
  }

  async #killGateway(): Promise<void> {
    await this.#fleet.killGateway();
    this.gatewayKills += 1;
    await delay(this.#random.between(0, 1_000));
    await this.#fleet.startGatewayAgain();
  }

  /** SIGTERM: its numbers move while it still runs. */
  async #handOver(): Promise<void> {
    const leaving = await this.#owner();
    await this.#fleet.startWorker();
    await leaving.stop();
    this.handOvers += 1;
  }

  async #owner(): Promise<FleetWorker> {
    return until(
      async () => {
        const rows = await this.#facts.query<{ host: string }>(
          "select distinct host from shard_leases l join workers w on w.worker_id = l.owner",
        );
        const hosts = new Set(rows.map(({ host }) => host));
        const owners = this.#fleet.living.filter(({ label }) => hosts.has(label));
        return owners.length > 0 ? this.#random.pick(owners) : undefined;
      },
      { label: "a worker that owns something", deadlineMs: 30_000 },
    );
  }

  /** Changes of owner since the beginning, of all shards together. */
  async moves(): Promise<number> {
    const [row] = await this.#facts.query<{ moves: number }>(
      "select sum(epoch)::int as moves from shard_leases",
    );
    return row?.moves ?? 0;
  }
}

test(`messages through ${ROUNDS} rounds of kills: none lost, none twice, each chat in order`, async (t) => {
  assert.ok(Number.isInteger(ROUNDS) && ROUNDS > 0, "CHAOS_ROUNDS is a count");
  t.diagnostic(`seed ${SEED}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}`);
  const random = createRandom(SEED);
  await using fleet = await openFleetAround(startSimulatorProcess, {
    workers: WORKERS,
    companies: COMPANIES,
    numbersPerCompany: NUMBERS_EACH,
    shardSize: 1,
    ...(KEEP === undefined ? {} : { logs: resolve(KEEP) }),
  });
  await using facts = openMessageFacts(fleet);
  const load = await MessageLoad.open(fleet, random);
  const chaos = new Chaos(fleet, facts, load, random);
  await chaos.settle();
  const before = await chaos.moves();
  const begunAt = performance.now();
  for (let round = 1; round <= ROUNDS; round += 1) {
    const roundAt = performance.now();
    await chaos.round();
    t.diagnostic(`round ${round}: ${((performance.now() - roundAt) / 1_000).toFixed(1)} s`);
  }
  await load.finish();
  const found = await judgeMessages(t, load, facts, {
    "numbers / companies / conversations": `${fleet.numbers.length} / ${COMPANIES} / ${load.conversations.length}`,
    "kill -9: workers / gateway": `${chaos.workerKills} / ${chaos.gatewayKills}`,
    "hand-overs by SIGTERM": chaos.handOvers,
    "changes of owner of a shard": (await chaos.moves()) - before,
  });
  t.diagnostic(`${((performance.now() - begunAt) / 1_000).toFixed(0)} s in all`);
  const log = await facts.log();
  if (KEEP !== undefined) {
    const { written, accepted } = load;
    const all = {
      found,
      written,
      accepted,
      log,
      shown: await load.shown(),
      rows: await facts.rows(),
    };
    await writeFile(join(KEEP, "messages.json"), JSON.stringify(all, null, 1));
  }
  assert.equal(load.written.length, ROUNDS * BURSTS * BURST);
  assert.equal(load.accepted.length, ROUNDS * BURSTS * BURST);
  assert.equal(chaos.workerKills + chaos.gatewayKills, 3 * ROUNDS);
  assertNothingWrong(found);
  assert.deepEqual(splitChats(load, log), [], "conversations in several chats");
});

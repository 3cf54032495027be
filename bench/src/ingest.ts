/**
 * Webhooks of Meta through webhook-ingest, by turns with what they cost at least in the same run: Fastify with the
 * signature alone, and the same with one Postgres insert each. Signature on, bodies of 1.2 KiB, 64 connections; what
 * is stored is counted afterwards. Bars: as many a second as with one insert each; p99 at `--rate` a second at most
 * 60 ms. Aim: 0.6 of Fastify with the signature alone.
 *
 *   node src/ingest.ts [--webhooks=20000] [--paced=20000] [--rate=2000] [--connections=64] [--numbers=50] [--rounds=3]
 */
import { messageReceived } from "@manyline/contracts";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { main, readOptions } from "./lib/cli.ts";
import { median, millis, percentile, say, table, verdict } from "./lib/figures.ts";
import { load, type LoadResult } from "./lib/http-load.ts";
import { BODY_BYTES, IngestGround, type Taker } from "./lib/ingest-ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { cpuMs, treeCpuMs } from "./lib/processes.ts";

const BARS = { p99Ms: 60, ofInserts: 1 };
const AIM_OF_BARE = 0.6;
const WARM_UP = 500;
const EVENTS_MS = 60_000;

type Run = { perSecond: number; p50: number; p99: number; cpu: number; postgres: number };
type Paced = { p50: number; p99: number; eventP50: number; eventP99: number };

await main(async () => {
  const options = readOptions({
    webhooks: 20_000,
    paced: 20_000,
    rate: 2_000,
    connections: 64,
    numbers: 50,
    rounds: 3,
  });
  const { connections, rate, rounds } = options;
  const machine = machineLine();
  const limits = readLimits();
  const bytes = (options.webhooks + options.paced) * 2 * BODY_BYTES;
  assertLimits(limits, { sockets: 2 * connections, ports: 1_000, memory: bytes + 2 ** 30 });
  await using ground = await IngestGround.open(options.numbers);
  say(
    `webhooks: one text each, ${BODY_BYTES} bytes, signed, to ${options.numbers} numbers of as many companies; ${options.webhooks} over ${connections} connections, then ${options.paced} at ${rate} a second`,
  );
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits; all on one machine`);

  const bare = await ground.startBare(false);
  const inserts = await ground.startBare(true);
  const ours = await ground.startIngest();
  const takers = [bare, inserts, ours];
  const counts = new Map<Taker, number>(takers.map((taker) => [taker, 0]));
  const post = async (taker: Taker, count: number, perSecond?: number) => {
    const { ids, requests } = ground.webhooks(count, taker.url);
    const pace = perSecond === undefined ? {} : { perSecond };
    const startedAt = performance.now();
    const result = await load(taker.url, requests, { connections, ...pace });
    assertTaken(taker, count, result);
    counts.set(taker, (counts.get(taker) ?? 0) + count);
    return { ids, startedAt, result };
  };

  for (const taker of takers) await post(taker, WARM_UP);
  const runs = new Map<Taker, Run[]>(takers.map((taker) => [taker, []]));
  for (let round = 0; round < rounds; round += 1) {
    // Whoever comes first in one round comes last in the next.
    for (const taker of round % 2 === 0 ? takers : takers.toReversed()) {
      await untilPublished(ground);
      const before = cpuOf(ground, taker);
      const { result } = await post(taker, options.webhooks);
      await untilPublished(ground);
      const used = cpuOf(ground, taker);
      runs.get(taker)?.push({
        perSecond: (options.webhooks * 1_000) / result.wallMs,
        p50: percentile(result.latencies, 0.5),
        p99: percentile(result.latencies, 0.99),
        cpu: (used.process - before.process) / options.webhooks,
        postgres: (used.postgres - before.postgres) / options.webhooks,
      });
    }
  }
  const of = (taker: Taker, read: (run: Run) => number): number =>
    median((runs.get(taker) ?? []).map(read));
  say();
  say(
    table(
      [`as fast as it goes, ${connections} connections`, "per s", "p50", "p99", "CPU", "Postgres"],
      takers.map((taker) => [
        taker.name,
        of(taker, ({ perSecond }) => perSecond).toFixed(0),
        millis(of(taker, ({ p50 }) => p50)),
        millis(of(taker, ({ p99 }) => p99)),
        millis(of(taker, ({ cpu }) => cpu)),
        millis(of(taker, ({ postgres }) => postgres)),
      ]),
    ),
  );

  const heard = new Map<string, number>();
  const bus = createBus({
    servers: [ground.nats.url],
    name: "bench",
    logger: createSilentLogger(),
  });
  bus.subscribe(`${messageReceived.type}.>`, ({ data }) => {
    const at = performance.now();
    // Parsing would cost this process, which is the sender as well, more than the answer is worth.
    const id = /"(wamid\.BENCH\.\d+)"/.exec(Buffer.from(data).toString("latin1"))?.[1];
    if (id !== undefined && !heard.has(id)) heard.set(id, at);
  });
  await until(() => bus.connected, { label: "the subscriber" });
  const paced: Paced[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const { ids, startedAt, result } = await post(ours, options.paced, rate);
    await until(() => ids.every((id) => heard.has(id)), {
      deadlineMs: EVENTS_MS,
      intervalMs: 50,
      label: "every event at the subscriber",
    });
    const eventMs = ids.map(
      (id, place) => (heard.get(id) ?? 0) - startedAt - (place * 1_000) / rate,
    );
    paced.push({
      p50: percentile(result.latencies, 0.5),
      p99: percentile(result.latencies, 0.99),
      eventP50: percentile(eventMs, 0.5),
      eventP99: percentile(eventMs, 0.99),
    });
  }
  await bus.close();
  const at = (read: (run: Paced) => number): number => median(paced.map(read));
  say();
  say(
    table(
      [`at ${rate} a second`, "request → 200 p50", "p99", "request → event p50", "p99"],
      [
        [
          ours.name,
          millis(at(({ p50 }) => p50)),
          millis(at(({ p99 }) => p99)),
          millis(at(({ eventP50 }) => eventP50)),
          millis(at(({ eventP99 }) => eventP99)),
        ],
      ],
    ),
  );

  const stored = await countRows(ground, "messages");
  const kept = await countRows(ground, "bench_webhooks");
  say();
  say(
    `stored: webhook-ingest ${stored} of ${counts.get(ours)}, one insert each ${kept} of ${counts.get(inserts)}`,
  );
  const perSecond = (taker: Taker): number => of(taker, (run) => run.perSecond);
  const ofInserts = perSecond(inserts) / perSecond(ours);
  const p99 = at((run) => run.p99);
  say(`${(perSecond(ours) / perSecond(bare)).toFixed(2)} of Fastify, HMAC (aim ${AIM_OF_BARE})`);
  say(verdict("one insert each, of webhook-ingest", ofInserts, BARS.ofInserts, " ×"));
  say(verdict(`p99 at ${rate} a second`, p99, BARS.p99Ms, " ms"));
  const isStored = stored === counts.get(ours) && kept === counts.get(inserts);
  if (!isStored || ofInserts > BARS.ofInserts || p99 > BARS.p99Ms) process.exitCode = 1;
});

function assertTaken({ name }: Taker, count: number, { statuses }: LoadResult): void {
  if (statuses.get(200) === count) return;
  const list = [...statuses].map(([status, times]) => `${status} × ${times}`).join(", ");
  throw new Error(`${name} answered ${list}`);
}

/** What was put off belongs to whoever put it off. */
async function untilPublished({ client }: IngestGround): Promise<void> {
  await until(
    async () => {
      const { rows } = await client.query(
        "select from event_publications where published_at is null limit 1",
      );
      return rows.length === 0;
    },
    { deadlineMs: EVENTS_MS, intervalMs: 20, label: "all events published" },
  );
}

function cpuOf({ postgres }: IngestGround, taker: Taker): { process: number; postgres: number } {
  return { process: cpuMs(taker.process.pid), postgres: treeCpuMs(postgres.pid ?? 0) };
}

async function countRows({ client }: IngestGround, name: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `select count(*)::int as count from ${name}`,
  );
  return rows[0]?.count ?? 0;
}

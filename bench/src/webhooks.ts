/**
 * Customers' webhooks: from the commit of an event to the customer's server, at `--rate` a second, beside a loop that POSTs
 * the same number of bodies with undici (Node's own fetch) in the same run; then as fast as it goes; then one company's
 * latency while another's endpoint has `--backlog` deliveries queued. Bars: p99 at 200 a second at most 100 ms; with the
 * backlog at most twice the idle p99.
 *
 *   node src/webhooks.ts [--events=4000] [--rate=200] [--companies=20] [--chats=50] [--flood=5000] [--backlog=100000] [--rounds=2]
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { main, readOptions } from "./lib/cli.ts";
import { median, millis, percentile, say, table, verdict } from "./lib/figures.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { cpuMs, treeCpuMs } from "./lib/processes.ts";
import { type Customer, Endpoint, WebhookGround } from "./lib/webhook-ground.ts";

const BARS = { p99Ms: 100, ofIdle: 2 };
const DEADLINE_MS = 120_000;
const WRITE_AT_ONCE = 100;
const BODY = JSON.stringify({ text: "x".repeat(900) });

type Paced = { p50: number; p99: number };

await main(async () => {
  const options = readOptions({
    events: 4_000,
    rate: 200,
    companies: 20,
    chats: 50,
    flood: 5_000,
    backlog: 100_000,
    rounds: 2,
  });
  const { events, rate, rounds, flood, backlog } = options;
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, { sockets: 600, ports: 5_000, memory: 2 ** 30 });
  await using ground = await WebhookGround.open();
  await using endpoint = await Endpoint.start();
  say(
    `webhooks: ${events} events at ${rate} a second for ${options.companies} companies with ${options.chats} chats each, one webhook each`,
  );
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits; all on one machine`);
  const customers: Customer[] = [];
  for (let place = 0; place < options.companies; place += 1) {
    customers.push(await ground.addCustomer(`bench-${place}`, endpoint.url, options.chats));
  }
  const notifier = await ground.startNotifier();
  const of = (place: number): Customer => {
    const customer = customers[place % customers.length];
    if (!customer) throw new Error("there are no companies");
    return customer;
  };

  await paced(ground, endpoint, rate, rate, of);
  const ours: Paced[] = [];
  const bare: Paced[] = [];
  const cpu: number[] = [];
  const postgres: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = [cpuMs(notifier.pid), treeCpuMs(ground.postgres.pid ?? 0)] as const;
    ours.push(await paced(ground, endpoint, events, rate, of));
    cpu.push((cpuMs(notifier.pid) - before[0]) / events);
    postgres.push((treeCpuMs(ground.postgres.pid ?? 0) - before[1]) / events);
    bare.push(await pacedBare(endpoint, events, rate));
  }
  const mid = (runs: readonly Paced[], read: (run: Paced) => number): number =>
    median(runs.map(read));
  say();
  say(
    table(
      [`at ${rate} a second`, "event → endpoint p50", "p99", "CPU", "Postgres"],
      [
        [
          "undici alone",
          millis(mid(bare, ({ p50 }) => p50)),
          millis(mid(bare, ({ p99 }) => p99)),
          "",
          "",
        ],
        [
          "notifier",
          millis(mid(ours, ({ p50 }) => p50)),
          millis(mid(ours, ({ p99 }) => p99)),
          millis(median(cpu)),
          millis(median(postgres)),
        ],
      ],
    ),
  );

  const floods = { ours: await flooded(ground, endpoint, flood, of), bare: 0 };
  floods.bare = await floodedBare(endpoint, flood, options.companies * 8);
  say();
  say(
    table(
      ["as fast as it goes", "deliveries/s"],
      [
        ["undici alone", floods.bare.toFixed(0)],
        ["notifier", floods.ours.toFixed(0)],
      ],
    ),
  );

  await using slow = await Endpoint.start();
  const loud = await ground.addCustomer("bench-loud", slow.url, 1);
  const quiet = of(0);
  const idle = await paced(ground, endpoint, events / 4, rate / 4, () => quiet);
  await ground.fill(loud, backlog);
  await until(() => slow.arrived.size > 0, { deadlineMs: DEADLINE_MS, label: "the backlog moves" });
  const beside = await paced(ground, endpoint, events / 4, rate / 4, () => quiet);
  const left = await ground.waiting(loud);
  say();
  say(
    table(
      [`one company, ${rate / 4} a second`, "event → endpoint p50", "p99"],
      [
        ["idle", millis(idle.p50), millis(idle.p99)],
        [`beside ${backlog} queued of another`, millis(beside.p50), millis(beside.p99)],
      ],
    ),
  );
  say(`${backlog - left} of them were delivered meanwhile, ${left} wait`);
  say();
  const p99 = mid(ours, (run) => run.p99);
  const ofIdle = beside.p99 / idle.p99;
  say(verdict(`p99 at ${rate} a second`, p99, BARS.p99Ms, " ms"));
  say(verdict("p99 beside the backlog, of idle", ofIdle, BARS.ofIdle, " ×"));
  if (p99 > BARS.p99Ms || ofIdle > BARS.ofIdle) process.exitCode = 1;
});

/** One event at a time, each when it is due; from its commit to its arrival. */
async function paced(
  ground: WebhookGround,
  endpoint: Endpoint,
  count: number,
  rate: number,
  of: (place: number) => Customer,
): Promise<Paced> {
  const committed = new Map<string, number>();
  const writing: Promise<void>[] = [];
  await eachWhenDue(count, rate, (place) => {
    writing.push(
      ground.write([of(place)]).then(({ ids, at }) => {
        for (const id of ids) committed.set(id, at);
        return undefined;
      }),
    );
  });
  await Promise.all(writing);
  return latencies(committed, endpoint);
}

async function pacedBare(endpoint: Endpoint, count: number, rate: number): Promise<Paced> {
  const begun = new Map<string, number>();
  const sending: Promise<void>[] = [];
  await eachWhenDue(count, rate, () => {
    const id = randomUUID();
    begun.set(id, performance.now());
    sending.push(postBare(endpoint, id));
  });
  await Promise.all(sending);
  return latencies(begun, endpoint);
}

async function postBare({ url }: Endpoint, id: string): Promise<void> {
  const headers = { "content-type": "application/json", "webhook-id": id };
  const response = await fetch(url, { method: "POST", headers, body: BODY });
  await response.arrayBuffer();
}

async function eachWhenDue(
  count: number,
  rate: number,
  work: (place: number) => void,
): Promise<void> {
  const start = performance.now();
  for (let place = 0; place < count;) {
    const due = Math.min(count, Math.floor(((performance.now() - start) * rate) / 1_000) + 1);
    for (; place < due; place += 1) work(place);
    await delay(1);
  }
}

async function latencies(since: Map<string, number>, { arrived }: Endpoint): Promise<Paced> {
  const ids = [...since.keys()];
  await until(() => ids.every((id) => arrived.has(id)), {
    deadlineMs: DEADLINE_MS,
    intervalMs: 50,
    label: "every event at the endpoint",
  });
  const ms = ids.map((id) => (arrived.get(id) ?? 0) - (since.get(id) ?? 0));
  return { p50: percentile(ms, 0.5), p99: percentile(ms, 0.99) };
}

async function flooded(
  ground: WebhookGround,
  endpoint: Endpoint,
  count: number,
  of: (place: number) => Customer,
): Promise<number> {
  const ids: string[] = [];
  const start = performance.now();
  for (let place = 0; place < count; place += WRITE_AT_ONCE) {
    const size = Math.min(WRITE_AT_ONCE, count - place);
    const batch = Array.from({ length: size }, (_, index) => of(place + index));
    ids.push(...(await ground.write(batch)).ids);
  }
  await until(() => ids.every((id) => endpoint.arrived.has(id)), {
    deadlineMs: DEADLINE_MS,
    intervalMs: 50,
    label: "the flood at the endpoint",
  });
  const last = Math.max(...ids.map((id) => endpoint.arrived.get(id) ?? 0));
  return (count * 1_000) / (last - start);
}

async function floodedBare(endpoint: Endpoint, count: number, atOnce: number): Promise<number> {
  let left = count;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left > 0) {
        left -= 1;
        await postBare(endpoint, randomUUID());
      }
    }),
  );
  return (count * 1_000) / (performance.now() - start);
}

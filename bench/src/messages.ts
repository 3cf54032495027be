/**
 * Messages through one session-worker, beside bare Baileys sockets of the same count, by turns against the same
 * simulated WhatsApp: how many a second, how long each takes, and what it costs. Bars: processor time of the
 * process per inbound message, journal and all statements included, at most 1.3 of bare Baileys. Aim: at most
 * 4 rows written per inbound message.
 *
 *   node src/messages.ts [--numbers=200] [--messages=2000] [--paced=300] [--rate=20] [--rounds=3] [--profile=<folder>]
 */
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { main, readOptions } from "./lib/cli.ts";
import { inbound, outbound, warmUp, type OutboundRun, type Run } from "./lib/conversation.ts";
import { median, millis, percentile, say, seconds, table, verdict } from "./lib/figures.ts";
import { openGround, type Ground } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { writtenBy } from "./lib/message-costs.ts";
import { openBareSide, openProduct, type Side } from "./lib/message-sides.ts";
import { profileArgs, profileNow, readProfile, sayProfile } from "./lib/profile.ts";
import { watchPools } from "./lib/progress.ts";
import { watchWire, type WireWatch } from "./lib/wire-watch.ts";

const BARS = { inboundCpuOfBare: 1.3, rows: 4 };
const TOP = 10;
const FIRST_PHONES = { stock: 79_621_000_000, repaired: 79_631_000_000 };

type Round = { burst: Run; paced: Run; outBurst: OutboundRun; outPaced: OutboundRun };

await main(async () => {
  const options = readOptions({
    numbers: 200,
    messages: 2_000,
    paced: 300,
    rate: 20,
    rounds: 3,
    profile: "",
  });
  const { numbers } = options;
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    sockets: 3 * numbers,
    ports: 3 * numbers + 1_000,
    memory: 3 * numbers * 2 ** 20 + 2 ** 30,
  });
  await using ground = await openGround({ numbers });
  say(
    `messages: ${numbers} linked numbers, each with one contact, on each side; ${options.messages} at once, then ${options.paced} at ${options.rate} a second, both ways`,
  );
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits; the pace of sending lifted`);
  await using stack = new AsyncDisposableStack();
  const wire = stack.use(await watchWire(ground.simulator.httpUrl));
  if (options.profile !== "") {
    await profileInbound(ground, wire, options.messages, options.profile);
    return;
  }
  const pools = watchPools(ground.client);
  const sides = [
    stack.use(
      await openBareSide(ground, {
        variant: "stock",
        name: "bare Baileys, stock",
        firstPhone: FIRST_PHONES.stock,
      }),
    ),
    stack.use(
      await openBareSide(ground, {
        variant: "repaired",
        name: "bare Baileys, repaired and lean",
        firstPhone: FIRST_PHONES.repaired,
      }),
    ),
    stack.use(await openProduct(ground)),
  ] as const;
  for (const side of sides) await warmUp(ground, side, wire);
  const rounds = new Map<Side, Round[]>(sides.map((side) => [side, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    // Whoever comes first in one round comes last in the next.
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const startedAt = performance.now();
      const paced = { count: options.paced, perSecond: options.rate };
      rounds.get(side)?.push({
        burst: await inbound(ground, side, { count: options.messages }),
        paced: await inbound(ground, side, paced),
        outBurst: await outbound(ground, side, wire, { count: options.messages }),
        outPaced: await outbound(ground, side, wire, paced),
      });
      say(`  round ${round + 1}, ${side.name}: ${seconds(performance.now() - startedAt)}`);
    }
  }
  const [stock, repaired, product] = sides;
  sayInbound(sides, rounds);
  sayOutbound(sides, rounds);
  sayLatencies(sides, rounds);
  await sayCosts(ground, product, wire, options);
  say(await pools());
  await sayRepeats(ground);
  say();
  const cpu = paired(rounds.get(product), rounds.get(stock));
  const ofRepaired = paired(rounds.get(product), rounds.get(repaired));
  say(verdict("CPU per inbound message, of bare", cpu, BARS.inboundCpuOfBare, " ×"));
  say(`        of bare, repaired and lean: ${ofRepaired.toFixed(2)} ×`);
  if (cpu > BARS.inboundCpuOfBare) process.exitCode = 1;
});

type Rounds = ReadonlyMap<Side, Round[]>;

function middle(rounds: Rounds, side: Side, value: (round: Round) => number): number {
  return median((rounds.get(side) ?? []).map(value));
}

function rate(count: number, ms: number): number {
  return (count * 1_000) / ms;
}

function sayInbound(sides: readonly Side[], rounds: Rounds): void {
  const rows = sides.map((side) => {
    const of = (value: (run: Run) => number): number =>
      middle(rounds, side, ({ burst }) => value(burst));
    const other = (name: string): string => {
      const ms = of((run) => (run.othersMs[name] ?? 0) / run.count);
      return ms === 0 ? "-" : millis(ms);
    };
    return [
      side.name,
      of((run) => rate(run.count, run.wallMs)).toFixed(0),
      millis(of((run) => run.clientMs / run.count)),
      other("postgres"),
      other("nats"),
      millis(of((run) => run.simulatorMs / run.count)),
    ];
  });
  say();
  say(
    table(
      ["inbound at once, median of rounds", "heard/s", "CPU each", "Postgres", "NATS", "simulator"],
      rows,
    ),
  );
}

function sayOutbound(sides: readonly Side[], rounds: Rounds): void {
  const rows = sides.map((side) => {
    const of = (value: (run: OutboundRun) => number): number =>
      middle(rounds, side, ({ outBurst }) => value(outBurst));
    const other = (name: string): string => {
      const ms = of((run) => (run.othersMs[name] ?? 0) / run.count);
      return ms === 0 ? "-" : millis(ms);
    };
    return [
      side.name,
      of((run) => rate(run.count, run.acceptedInMs)).toFixed(0),
      of((run) => rate(run.count, run.wallMs)).toFixed(0),
      millis(of((run) => run.clientMs / run.count)),
      other("gateway"),
      other("postgres"),
      millis(of((run) => run.simulatorMs / run.count)),
    ];
  });
  say();
  say(
    table(
      [
        "outbound at once, median of rounds",
        "accepted/s",
        "sent/s",
        "CPU each",
        "gateway",
        "Postgres",
        "simulator",
      ],
      rows,
    ),
  );
}

/** At a pace that leaves the machine time: what a single message meets. */
function sayLatencies(sides: readonly Side[], rounds: Rounds): void {
  const all = (side: Side, values: (round: Round) => number[]): number[] =>
    (rounds.get(side) ?? []).flatMap(values);
  const pair = (values: number[]): string[] => [
    millis(percentile(values, 0.5)),
    millis(percentile(values, 0.99)),
  ];
  const rows = sides.map((side) => [
    side.name,
    ...pair(all(side, ({ paced }) => paced.latenciesMs)),
    ...pair(all(side, ({ outPaced }) => outPaced.fromAskedMs)),
    ...(side.name === "session-worker"
      ? pair(all(side, ({ outPaced }) => outPaced.latenciesMs))
      : ["-", "-"]),
  ]);
  say();
  say(
    table(
      [
        "latency at a pace",
        "frame → event p50",
        "p99",
        "asked → wire p50",
        "p99",
        "202 → wire p50",
        "p99",
      ],
      rows,
    ),
  );
}

async function sayCosts(
  ground: Ground,
  product: Side,
  wire: WireWatch,
  options: { messages: number; paced: number; rate: number },
): Promise<void> {
  const { client } = ground;
  const paced = { count: options.paced, perSecond: options.rate };
  const kinds: [string, number, () => Promise<unknown>][] = [
    ["inbound, at a pace", options.paced, () => inbound(ground, product, paced)],
    [
      "inbound, at once",
      options.messages,
      () => inbound(ground, product, { count: options.messages }),
    ],
    ["outbound, at a pace", options.paced, () => outbound(ground, product, wire, paced)],
  ];
  const written = await writtenBy(
    client,
    kinds.map(([, , work]) => work),
  );
  const rows = kinds.map(([name, count], place) => {
    const one = written[place] ?? { rows: new Map<string, number>(), walBytes: 0 };
    const total = [...one.rows.values()].reduce((sum, value) => sum + value, 0);
    const tables = [...one.rows]
      .toSorted(([, a], [, b]) => b - a)
      .map(([table_, rowCount]) => `${table_} ${(rowCount / count).toFixed(2)}`)
      .join(", ");
    return [name, (total / count).toFixed(2), `${(one.walBytes / count).toFixed(0)} B`, tables];
  });
  say();
  say(table(["written per message", "rows", "WAL", "rows by table"], rows));
  say(`aim: at most ${BARS.rows} rows per inbound message`);
}

/** Nobody may have needed a second copy, or there is something wrong with the figures. */
async function sayRepeats({ simulator }: Ground): Promise<void> {
  const response = await fetch(`${simulator.httpUrl}/stats`);
  const { phoneRetries, clientRetries } = (await response.json()) as Record<string, number>;
  say(`asked for another copy: phones ${phoneRetries ?? "?"}, clients ${clientRetries ?? "?"}`);
}

/** Rounds are paired: what else the machine does at the time weighs on both sides. */
function paired(ours: Round[] = [], theirs: Round[] = []): number {
  const each = ({ burst }: Round): number => burst.clientMs / burst.count;
  return median(
    ours.flatMap((round, index) => {
      const other = theirs[index];
      return other === undefined ? [] : [each(round) / each(other)];
    }),
  );
}

/** Where the time of an inbound message goes, of the worker and of stock Baileys. */
async function profileInbound(
  ground: Ground,
  wire: WireWatch,
  count: number,
  folder: string,
): Promise<void> {
  const target = resolve(folder);
  await mkdir(target, { recursive: true });
  const nodeArgs = profileArgs(target);
  const { stock: firstPhone } = FIRST_PHONES;
  const opens = [
    () =>
      openBareSide(ground, { variant: "stock", name: "bare Baileys, stock", firstPhone, nodeArgs }),
    () => openProduct(ground, { nodeArgs }),
  ];
  for (const open of opens) {
    let window: [number, number] = [0, 0];
    const side = await open();
    try {
      await warmUp(ground, side, wire);
      await inbound(ground, side, { count });
      const from = profileNow();
      const run = await inbound(ground, side, { count });
      window = [from, profileNow()];
      say(
        `\n${side.name}, with the profiler on: ${millis(run.clientMs / run.count)} CPU per inbound message`,
      );
    } finally {
      await side[Symbol.asyncDispose]();
    }
    sayProfile(await readProfile(target, side.pid), {
      window,
      count,
      per: "message",
      top: TOP,
      withGroups: true,
    });
  }
}

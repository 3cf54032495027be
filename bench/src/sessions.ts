/**
 * What an idle linked number costs: memory and processor time of one process that holds 100, 500, 1,000 and 2,500
 * of them, the session-worker beside bare Baileys sockets, in turn against the same simulated WhatsApp. Bars:
 * memory per number at 500 at most 0.6 of stock Baileys; at 2,500 at most 8 % of a core, keep-alives included.
 *
 *   node src/sessions.ts [--sizes=100,500,1000,2500] [--idle=60] [--stock=2500] [--profile=<folder>]
 */
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { main, readOptions } from "./lib/cli.ts";
import { say, seconds, table, verdict } from "./lib/figures.ts";
import { openGround, type Ground } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { openBareSessions, openWorkerSessions, type OpenSessions } from "./lib/open-sessions.ts";
import { cpuMs, treeCpuMs } from "./lib/processes.ts";
import { profileArgs, profileNow, readProfile, sayProfile } from "./lib/profile.ts";

const BARS = { memoryOfStock: 0.6, memoryAt: 500, idlePercent: 8, idleAt: 2_500 };
const TOP = 10;
/** What an opening leaves to do is not idleness. */
const SETTLE_MS = 6_000;

type Kind = "stock" | "repaired" | "manyline";
type Measured = {
  kind: Kind;
  size: number;
  rss: number;
  /** What the process grew by, per number. */
  perNumber: number;
  heapPerNumber: number;
  cpuPercent: number;
  postgresPercent: number;
};
const NAMES: Record<Kind, string> = {
  stock: "bare Baileys, stock",
  repaired: "bare Baileys, repaired and lean",
  manyline: "session-worker",
};

await main(async () => {
  const options = readOptions({ sizes: "100,500,1000,2500", idle: 60, stock: 2_500, profile: "" });
  const sizes = options.sizes.split(",").map(Number);
  if (!sizes.every((size) => Number.isInteger(size) && size > 0))
    throw new Error("--sizes must be numbers above 0, commas between them");
  const largest = Math.max(...sizes);
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    sockets: largest,
    ports: 2 * largest + 1_000,
    memory: largest * 1.2 * 2 ** 20 + 2 ** 30,
  });
  await using ground = await openGround({ numbers: 1 });
  say(`idle linked numbers: ${sizes.join(", ")} in one process, each of its own company`);
  say(machine);
  say(`${limitsLine(limits)}; at rest for ${options.idle} s; Postgres with synchronous commits`);
  const profile = options.profile === "" ? undefined : resolve(options.profile);
  if (profile !== undefined) await mkdir(profile, { recursive: true });
  const all: Measured[] = [];
  for (const size of sizes) {
    const kinds: Kind[] = ["repaired", "manyline"];
    if (size <= options.stock) kinds.unshift("stock");
    for (const kind of kinds) {
      const startedAt = performance.now();
      all.push(await measure(ground, kind, size, options.idle * 1_000, profile));
      say(`  ${size}, ${NAMES[kind]}: ${seconds(performance.now() - startedAt)}`);
    }
  }
  report(all);
});

async function measure(
  ground: Ground,
  kind: Kind,
  size: number,
  idleMs: number,
  profile: string | undefined,
): Promise<Measured> {
  const nodeArgs = profile === undefined ? [] : profileArgs(profile);
  let window: [number, number] = [0, 0];
  const open: OpenSessions =
    kind === "manyline"
      ? await openWorkerSessions(ground, size, nodeArgs)
      : await openBareSessions(ground, size, kind, nodeArgs);
  const measured = await using(open, async () => {
    await delay(SETTLE_MS);
    const postgres = (): number => treeCpuMs(ground.postgres.pid ?? 0);
    const before = { own: cpuMs(open.pid), postgres: postgres(), at: performance.now() };
    window = [profileNow(), 0];
    await delay(idleMs);
    window = [window[0], profileNow()];
    const percent = (ms: number): number => (ms * 100) / (performance.now() - before.at);
    const cpuPercent = percent(cpuMs(open.pid) - before.own);
    const postgresPercent = percent(postgres() - before.postgres);
    const { rss, heapUsed } = await open.memory();
    return {
      kind,
      size,
      rss,
      perNumber: (rss - open.base.rss) / size,
      heapPerNumber: (heapUsed - open.base.heapUsed) / size,
      cpuPercent,
      postgresPercent,
    };
  });
  if (profile !== undefined) {
    say(`\n${NAMES[kind]}, ${size} at rest:`);
    sayProfile(await readProfile(profile, open.pid), {
      window,
      count: idleMs / 1_000,
      per: "second",
      top: TOP,
      withGroups: true,
    });
  }
  return measured;
}

async function using<T>(resource: AsyncDisposable, work: () => Promise<T>): Promise<T> {
  await using _ = resource;
  return await work();
}

function report(all: readonly Measured[]): void {
  const kib = (bytes: number): string => `${(bytes / 1_024).toFixed(0)} KiB`;
  say();
  say(
    table(
      ["at rest", "numbers", "RSS", "RSS each", "heap each", "CPU, of a core", "Postgres"],
      all.map((one) => [
        NAMES[one.kind],
        String(one.size),
        `${(one.rss / 2 ** 20).toFixed(0)} MiB`,
        kib(one.perNumber),
        kib(one.heapPerNumber),
        `${one.cpuPercent.toFixed(1)} %`,
        one.kind === "manyline" ? `${one.postgresPercent.toFixed(1)} %` : "-",
      ]),
    ),
  );
  say();
  const of = (kind: Kind, size: number): Measured | undefined =>
    all.find((one) => one.kind === kind && one.size === size);
  for (const size of new Set(all.map((one) => one.size))) {
    const [ours, stock, repaired] = [of("manyline", size), of("stock", size), of("repaired", size)];
    if (!ours) continue;
    if (stock) {
      const ratio = ours.perNumber / stock.perNumber;
      const name = `RSS per number at ${size}, of stock`;
      if (size === BARS.memoryAt) {
        say(verdict(name, ratio, BARS.memoryOfStock, " ×"));
        if (ratio > BARS.memoryOfStock) process.exitCode = 1;
      } else say(`        ${name}: ${ratio.toFixed(2)} ×`);
    }
    if (repaired) {
      const ratio = ours.perNumber / repaired.perNumber;
      say(`        RSS per number at ${size}, of repaired and lean: ${ratio.toFixed(2)} ×`);
    }
    if (size === BARS.idleAt) {
      say(verdict(`idle CPU at ${size}`, ours.cpuPercent, BARS.idlePercent, " %"));
      if (ours.cpuPercent > BARS.idlePercent) process.exitCode = 1;
    }
  }
}

/** Where the processor time of a cold start goes: a CPU profile by groups, and the statements Postgres saw. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { millis, say, table } from "./figures.ts";
import type { Ground } from "./ground.ts";
import { measureWorker } from "./measure.ts";
import { readStatements, resetStatements, type StatementCount } from "./statements.ts";

type CallFrame = { functionName: string; url: string; lineNumber: number };
type CpuProfile = {
  nodes: { id: number; callFrame: CallFrame; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
  startTime: number;
};

const TOP = 45;

/** Leaves `*.cpuprofile` in the folder, for a browser's developer tools. */
export async function profileColdStart(ground: Ground, folder: string): Promise<void> {
  const target = resolve(folder);
  await mkdir(target, { recursive: true });
  let statements: StatementCount[] = [];
  let relayed: StatementCount[] = [];
  let window: [number, number] = [0, 0];
  const measured = await measureWorker(ground, {
    nodeArgs: ["--cpu-prof", `--cpu-prof-dir=${target}`, "--cpu-prof-interval=500"],
    whenReady: async () => {
      await resetStatements(ground.client);
      window = [now(), 0];
    },
    whileOpen: async () => {
      window = [window[0], now()];
      statements = await readStatements(ground.client, "manyline_worker");
      relayed = await readStatements(ground.client, "manyline_relay");
    },
  });
  const { numbers } = measured;
  say(
    `with the profiler on: ${numbers} open in ${millis(measured.wallMs)}, ${millis(measured.cpuMs / numbers)} CPU per open, Postgres ${millis(measured.postgresMs / numbers)}, simulator ${millis(measured.simulatorMs / numbers)}`,
  );
  const [file] = (await readdir(target))
    .filter((name) => name.endsWith(".cpuprofile"))
    .toSorted()
    .slice(-1);
  if (file === undefined) throw new Error("the worker left no profile");
  const profile = JSON.parse(await readFile(join(target, file), "utf8")) as CpuProfile;
  sayProfile(profile, window, numbers);
  sayStatements("role worker", statements, numbers);
  sayStatements("role relay", relayed, numbers);
}

/** The profile's clock: microseconds of the system's monotonic clock. */
function now(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

function sayProfile(profile: CpuProfile, [from, to]: [number, number], numbers: number): void {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byGroup = new Map<string, number>();
  const byFunction = new Map<string, number>();
  let at = profile.startTime;
  for (const [index, id] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0;
    at += delta;
    const frame = frames.get(id);
    if (at < from || at > to || frame === undefined) continue;
    const group = groupOf(frame);
    if (group === "idle") continue;
    add(byGroup, group, delta);
    add(byFunction, `${group}: ${frame.functionName || "(anonymous)"} ${placeOf(frame)}`, delta);
  }
  const total = [...byGroup.values()].reduce((sum, value) => sum + value, 0);
  const rows = (counted: Map<string, number>, limit: number): string[][] =>
    [...counted]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, limit)
      .map(([name, micros]) => [
        name,
        `${((micros * 100) / total).toFixed(1)} %`,
        millis(micros / 1_000 / numbers),
      ]);
  say(`\n${table(["self time by group", "share", "per open"], rows(byGroup, 40))}`);
  say(`\n${table(["self time by function", "share", "per open"], rows(byFunction, TOP))}`);
}

function add(counted: Map<string, number>, name: string, value: number): void {
  counted.set(name, (counted.get(name) ?? 0) + value);
}

function groupOf({ functionName, url }: CallFrame): string {
  if (functionName === "(idle)") return "idle";
  if (functionName === "(garbage collector)") return "garbage collector";
  if (functionName === "(program)") return "native and engine";
  const inPackage = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (inPackage !== undefined) return inPackage;
  const room = /\/(packages|services)\/([^/]+)\//.exec(url);
  if (room) return `${room[1] ?? ""}/${room[2] ?? ""}`;
  const core = /^node:(?:internal\/)?([a-z_]+)/.exec(url)?.[1];
  return core === undefined ? "built-ins" : `node:${core}`;
}

function placeOf({ url, lineNumber }: CallFrame): string {
  return url === "" ? "" : `(${url.split("/").slice(-2).join("/")}:${lineNumber + 1})`;
}

function sayStatements(title: string, statements: StatementCount[], numbers: number): void {
  const calls = statements.reduce((sum, one) => sum + one.calls, 0);
  const totalMs = statements.reduce((sum, one) => sum + one.totalMs, 0);
  say(
    `\n${title}: ${(calls / numbers).toFixed(2)} statements per open, ${millis(totalMs / numbers)} in Postgres`,
  );
  const rows = statements
    .slice(0, 40)
    .map(({ query, calls: count, totalMs: ms }) => [
      query.slice(0, 150),
      String(count),
      (count / numbers).toFixed(2),
      millis(ms / count),
    ]);
  say(table(["statement", "calls", "per open", "each"], rows));
}

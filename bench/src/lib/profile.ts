/** Where a process spends its time: CPU profiles, by groups and by functions. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { millis, say, table } from "./figures.ts";

type CallFrame = { functionName: string; url: string; lineNumber: number };
export type CpuProfile = {
  nodes: { id: number; callFrame: CallFrame; children?: number[] }[];
  samples: number[];
  timeDeltas: number[];
  startTime: number;
};

/** Arguments of Node that leave a `.cpuprofile` in the folder, for this and for a browser's developer tools. */
export function profileArgs(folder: string): string[] {
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`, "--cpu-prof-interval=500"];
}

/** What an ended process left there. @throws when it left nothing */
export async function readProfile(folder: string, pid: number): Promise<CpuProfile> {
  const file = (await readdir(folder)).find(
    (name) => name.endsWith(".cpuprofile") && name.split(".")[3] === String(pid),
  );
  if (file === undefined) throw new Error(`process ${pid} left no profile`);
  return JSON.parse(await readFile(join(folder, file), "utf8")) as CpuProfile;
}

/** The profile's clock: microseconds of the system's monotonic clock. */
export function profileNow(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

export type ProfileView = {
  /** Microseconds of the profile's clock. */
  window: [number, number];
  /** What the time is divided by, and its name. */
  count: number;
  per: string;
  /** Functions listed. */
  top: number;
  withGroups: boolean;
};

/** Self time within the window, the idle one left out. */
export function sayProfile(profile: CpuProfile, view: ProfileView): void {
  const [from, to] = view.window;
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
        millis(micros / 1_000 / view.count),
      ]);
  const per = `per ${view.per}`;
  if (view.withGroups)
    say(`\n${table(["self time by group", "share", per], rows(byGroup, GROUPS))}`);
  say(`\n${table(["self time by function", "share", per], rows(byFunction, view.top))}`);
}

const GROUPS = 40;

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

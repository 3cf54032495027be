/** What a process has used, as the kernel counts it. Linux only. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { childPids } from "@manyline/testkit";

let ticksPerSecond: number | undefined;

/** Processor time of the process, user and system, in milliseconds; with that of its ended children on wish. */
export function cpuMs(pid: number, withEndedChildren = false): number {
  ticksPerSecond ??= Number(execFileSync("getconf", ["CLK_TCK"], { encoding: "utf8" }));
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // "pid (name) state …": the 14th and 15th field are utime and stime, the 16th and 17th those of ended children.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, withEndedChildren ? 15 : 13).map(Number);
  return (ticks.reduce((sum, value) => sum + value, 0) * 1_000) / ticksPerSecond;
}

/** A server with its children, living and ended: Postgres has a process per connection. */
export function treeCpuMs(pid: number): number {
  const children = childPids(pid).map((child) => {
    try {
      return cpuMs(child);
    } catch {
      return 0; // ended between the two looks
    }
  });
  return children.reduce((sum, value) => sum + value, cpuMs(pid, true));
}

/** Resident memory in bytes. */
export function rssBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1_024;
}

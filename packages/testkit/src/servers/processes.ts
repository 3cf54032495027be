import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";

/**
 * Whether a process of this id runs (also when it belongs to another user). One that has ended, but whose
 * parent has not noticed yet, does not run.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EPERM")) return false;
  }
  return readStat(String(pid))?.state !== "Z";
}

/** Whether a process is frozen by SIGSTOP; undefined where there is no /proc to see it. */
export function isFrozen(pid: number): boolean | undefined {
  const state = readStat(String(pid))?.state;
  return state === undefined ? undefined : state === "T";
}

/** Ids of the direct children of a process: from /proc, or from `ps` where there is no /proc. */
export function childPids(parent: number): number[] {
  return processTable()
    .filter((row) => row.parent === parent)
    .map((row) => row.pid);
}

/** The command line of a process, or an empty string. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    try {
      return execFileSync("ps", ["-o", "command=", "-p", String(pid)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    } catch {
      return "";
    }
  }
}

function processTable(): { pid: number; parent: number }[] {
  let names: string[];
  try {
    names = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    names = [];
  }
  if (names.length === 0) return tableFromPs();
  return names.flatMap((name) => {
    const stat = readStat(name);
    return stat === undefined ? [] : [{ pid: Number(name), parent: stat.parent }];
  });
}

/** From /proc; undefined where there is none, or the process has ended. */
function readStat(pid: string): { state: string; parent: number } | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined;
  }
  // "pid (command name, may hold spaces and brackets) state ppid …"
  const [state = "", parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state, parent: Number(parent) };
}

function tableFromPs(): { pid: number; parent: number }[] {
  const output = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  return output
    .trim()
    .split("\n")
    .map((line) => {
      const [pid, parent] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent) };
    });
}

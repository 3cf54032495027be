/** The machine a figure comes from, and whether it is large enough for a run. */
import { readFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";

/** A run that cannot work here. The message is one sentence that says what to raise. */
export class TooSmallError extends Error {
  override name = "TooSmallError";
}

export type Needs = {
  /** Connections one process holds at most, to the simulator or from its clients. */
  sockets: number;
  /** Connections that are made within a minute: a closed one keeps its local port for so long. */
  ports: number;
  /** Bytes of all processes together. */
  memory: number;
};

/** What a process needs besides its sockets: files, Postgres, NATS, Redis, pipes. */
const OTHER_FILES = 300;

/** One line for the head of a table. */
export function machineLine(): string {
  const all = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const load = loadavg()
    .map((value) => value.toFixed(1))
    .join(" ");
  return `${all.length} × ${all[0]?.model.trim() ?? "?"}, ${memory} GiB, ${process.platform}, Node ${process.version}, load before ${load}`;
}

export type Limits = { openFiles: number; ports: [number, number]; memory: number };

/** Read where Linux shows them; elsewhere they are taken as sufficient. */
export function readLimits(): Limits {
  const files = /^Max open files\s+(\d+|unlimited)/m.exec(read("/proc/self/limits"))?.[1];
  const range = read("/proc/sys/net/ipv4/ip_local_port_range").trim().split(/\s+/).map(Number);
  const available = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo"))?.[1];
  return {
    openFiles: files === undefined || files === "unlimited" ? Infinity : Number(files),
    ports: [range[0] || 0, range[1] ?? 65_535],
    memory: available === undefined ? Infinity : Number(available) * 1_024,
  };
}

export function limitsLine({ openFiles, ports }: Limits): string {
  return `open files ${openFiles}, local ports ${ports[0]} to ${ports[1]}`;
}

/** @throws {TooSmallError} naming the first limit that does not suffice */
export function assertLimits(limits: Limits, needs: Needs): void {
  const files = needs.sockets + OTHER_FILES;
  if (limits.openFiles < files) {
    throw new TooSmallError(
      `A process may open ${limits.openFiles} files, this run needs ${files}: raise it with "ulimit -n ${files}".`,
    );
  }
  const ports = limits.ports[1] - limits.ports[0] + 1;
  if (ports < needs.ports) {
    throw new TooSmallError(
      `There are ${ports} local ports, this run needs ${needs.ports}: widen net.ipv4.ip_local_port_range, or take fewer numbers.`,
    );
  }
  if (limits.memory < needs.memory) {
    throw new TooSmallError(
      `${gib(limits.memory)} of memory are free, this run needs ${gib(needs.memory)}: take fewer numbers.`,
    );
  }
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

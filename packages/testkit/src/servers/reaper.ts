import { spawn } from "node:child_process";
import type { Writable } from "node:stream";

/**
 * Servers run in process groups of their own, so a Ctrl-C does not reach them and nobody would stop
 * them if this process were killed. The reaper is a small shell process that holds the other end of a
 * pipe: when this process ends, however it ends, the pipe closes, and the reaper stops what is still
 * on its list and removes the temporary folders.
 */
const SCRIPT = `
trap '' INT TERM HUP
procs=
while read -r op rest; do
  case $op in
    watch) procs="$procs $rest" ;;
    forget)
      kept=
      for p in $procs; do [ "\${p#*:}" = "$rest" ] || kept="$kept $p"; done
      procs=$kept ;;
    folder) set -- "$@" "$rest" ;;
  esac
done
for p in $procs; do kill -CONT "\${p#*:}"; kill -"\${p%%:*}" "\${p#*:}"; done
for p in $procs; do
  tries=0
  while kill -0 "\${p#*:}" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
  kill -KILL "\${p#*:}"
done
for folder; do rm -rf "$folder"; done
`;

let pipe: Writable | undefined;

/** Stops this process id with this signal when the present process ends. */
export function reapProcess(pid: number, signal: "INT" | "TERM"): void {
  tell(`watch ${signal}:${pid}`);
}

/** Takes a process that has ended off the list (its id may be given to somebody else). */
export function forgetProcess(pid: number): void {
  tell(`forget ${pid}`);
}

/** Removes a temporary folder when the present process ends. */
export function reapFolder(folder: string): void {
  tell(`folder ${folder}`);
}

function tell(line: string): void {
  pipe ??= startReaper();
  pipe.write(`${line}\n`);
}

function startReaper(): Writable {
  const child = spawn("/bin/sh", ["-c", SCRIPT, "manyline-reaper"], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  child.unref();
  const input = child.stdin;
  // A pipe is a socket in Node; it must not keep this process alive.
  if ("unref" in input && typeof input.unref === "function") input.unref();
  input.on("error", () => {
    pipe = undefined; // somebody killed the reaper: the next call starts another
  });
  return input;
}

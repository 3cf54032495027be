/** Where the processor time of a cold start goes: a CPU profile, and the statements Postgres saw. */
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { millis, say, table } from "./figures.ts";
import type { Ground } from "./ground.ts";
import { measureWorker } from "./measure.ts";
import { profileArgs, profileNow, readProfile, sayProfile } from "./profile.ts";
import { readStatements, resetStatements, type StatementCount } from "./statements.ts";

const TOP = 45;

/** Leaves `*.cpuprofile` in the folder, for a browser's developer tools. */
export async function profileColdStart(ground: Ground, folder: string): Promise<void> {
  const target = resolve(folder);
  await mkdir(target, { recursive: true });
  let statements: StatementCount[] = [];
  let relayed: StatementCount[] = [];
  let window: [number, number] = [0, 0];
  let pid = 0;
  const measured = await measureWorker(ground, {
    nodeArgs: profileArgs(target),
    whenReady: async () => {
      await resetStatements(ground.client);
      window = [profileNow(), 0];
    },
    whileOpen: async (worker) => {
      pid = worker.process.pid;
      window = [window[0], profileNow()];
      statements = await readStatements(ground.client, "manyline_worker");
      relayed = await readStatements(ground.client, "manyline_relay");
    },
  });
  const { numbers } = measured;
  say(
    `with the profiler on: ${numbers} open in ${millis(measured.wallMs)}, ${millis(measured.cpuMs / numbers)} CPU per open, Postgres ${millis(measured.postgresMs / numbers)}, simulator ${millis(measured.simulatorMs / numbers)}`,
  );
  sayProfile(await readProfile(target, pid), {
    window,
    count: numbers,
    per: "open",
    top: TOP,
    withGroups: true,
  });
  sayStatements("role worker", statements, numbers);
  sayStatements("role relay", relayed, numbers);
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

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Suite } from "./suites.ts";
import type { SummaryLine, TestCounts, TestFailure } from "./summary-reporter.ts";

/** A suite that takes this many times its budget is ended and has failed. */
const OVERRUN_FACTOR = 3;
/** So long a suite that is ended may take to tell what it was at; then it is killed. */
const END_MS = 10_000;
/** Of a failure's text, for the end of the output: the whole is in the log. */
const FAILURE_LINES = 12;

export type SuiteResult = {
  suite: Suite;
  seconds: number;
  counts: TestCounts | undefined;
  failures: TestFailure[];
  /** Empty = passed. */
  problems: string[];
  logFile: string;
};

/** Runs one suite with its output in a log file. */
export async function runSuite(
  suite: Suite,
  options: { root: string; logs: string; env: NodeJS.ProcessEnv; signal: AbortSignal },
): Promise<SuiteResult> {
  const { root, logs } = options;
  await mkdir(logs, { recursive: true });
  const base = join(logs, suite.name.replaceAll(/[^\w-]+/g, "-"));
  const logFile = `${base}.log`;
  const countsFile = `${base}.json`;
  await rm(countsFile, { force: true });
  const startedAt = performance.now();
  const limitMs = suite.budgetSeconds * OVERRUN_FACTOR * 1000;
  const args = suite.kind === "check" ? suite.args : testArgs(suite, root, countsFile);
  const { code, isLate } = await run(args, logFile, { ...options, limitMs });
  const { counts, failures } = readSummary(countsFile);
  const problems = isLate ? [`ended after ${OVERRUN_FACTOR} times its budget`] : [];
  if (suite.kind === "tests") problems.push(...problemsOf(counts));
  if (code !== 0 && problems.length === 0) problems.push(`exit code ${code}`);
  const seconds = (performance.now() - startedAt) / 1000;
  return { suite, seconds, counts, failures, problems, logFile };
}

/** Why these counts are not a pass. Nothing may be left out silently. */
export function problemsOf(counts: TestCounts | undefined): string[] {
  if (counts === undefined) return ["the test runner wrote no totals"];
  if (counts.tests === 0) return ["no test was run"];
  return (["failed", "cancelled", "skipped", "todo"] as const)
    .filter((kind) => counts[kind] > 0)
    .map((kind) => `${counts[kind]} ${kind}`);
}

function testArgs(suite: Suite, root: string, countsFile: string): string[] {
  const needsPostgres = suite.needs?.includes("postgres") ?? false;
  const setup = join(root, "packages", "testkit", "src", "global-setup.ts");
  return [
    "--test",
    ...(suite.isParallel === true ? [] : ["--test-concurrency=1"]),
    ...(needsPostgres ? [`--test-global-setup=${setup}`] : []),
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    `--test-reporter=${join(import.meta.dirname, "summary-reporter.ts")}`,
    `--test-reporter-destination=${countsFile}`,
    ...suite.args,
  ];
}

async function run(
  args: string[],
  logFile: string,
  options: { root: string; env: NodeJS.ProcessEnv; signal: AbortSignal; limitMs: number },
): Promise<{ code: number; isLate: boolean }> {
  const log = createWriteStream(logFile);
  // A group of its own: ending the suite ends the test processes as well.
  const child = spawn(process.execPath, args, {
    cwd: options.root,
    env: options.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  let isLate = false;
  const end = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // it has ended
    }
  };
  const timer = setTimeout(() => {
    isLate = true;
    end("SIGTERM");
    killer = setTimeout(() => end("SIGKILL"), END_MS);
  }, options.limitMs);
  let killer: NodeJS.Timeout | undefined;
  const onAbort = (): void => end("SIGTERM");
  options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    const [code] = await once(child, "close");
    return { code: typeof code === "number" ? code : 1, isLate };
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    options.signal.removeEventListener("abort", onAbort);
    log.end();
    await once(log, "finish");
  }
}

function readSummary(file: string): Pick<SuiteResult, "counts" | "failures"> {
  const lines = (existsSync(file) ? readFileSync(file, "utf8") : "").split("\n");
  // The last one is empty, or cut short by an end.
  const parsed = lines.slice(0, -1).map((line): SummaryLine => JSON.parse(line));
  const counts = parsed.flatMap((line) => ("counts" in line ? [line.counts] : [])).at(-1);
  return { counts, failures: parsed.flatMap((line) => ("failure" in line ? [line.failure] : [])) };
}

/** What failed in a suite and why, in a few lines each: for the end of the output. */
export function briefOf({ suite, problems, failures }: SuiteResult): string {
  const told = failures.map(({ name, file, error }) => {
    const lines = error.split("\n");
    const rest = lines.length > FAILURE_LINES ? ["…"] : [];
    return [`✖ ${name} (${file})`, ...lines.slice(0, FAILURE_LINES), ...rest].join("\n  ");
  });
  return [`${suite.name}: ${problems.join(", ")}`, ...told].join("\n");
}

/** What of a log is worth showing when its suite failed: from "failing tests" on, else its end. */
export function failureText(log: string, maxLines = 120): string {
  const marker = log.lastIndexOf("failing tests:");
  const lines = (marker < 0 ? log : log.slice(marker)).trimEnd().split("\n");
  return (marker < 0 ? lines.slice(-maxLines) : lines.slice(0, maxLines)).join("\n");
}

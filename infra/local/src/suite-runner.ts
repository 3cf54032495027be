import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Suite } from "./suites.ts";
import type { TestCounts } from "./summary-reporter.ts";

/** A suite that takes this many times its budget is ended and has failed. */
const OVERRUN_FACTOR = 3;

export type SuiteResult = {
  suite: Suite;
  seconds: number;
  counts: TestCounts | undefined;
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
  const counts = suite.kind === "tests" ? readCounts(countsFile) : undefined;
  const problems = isLate ? [`ended after ${OVERRUN_FACTOR} times its budget`] : [];
  if (suite.kind === "tests") problems.push(...problemsOf(counts));
  if (code !== 0 && problems.length === 0) problems.push(`exit code ${code}`);
  const seconds = (performance.now() - startedAt) / 1000;
  return { suite, seconds, counts, problems, logFile };
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
    end("SIGKILL");
  }, options.limitMs);
  const onAbort = (): void => end("SIGTERM");
  options.signal.addEventListener("abort", onAbort, { once: true });
  try {
    const [code] = await once(child, "close");
    return { code: typeof code === "number" ? code : 1, isLate };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener("abort", onAbort);
    log.end();
    await once(log, "finish");
  }
}

function readCounts(file: string): TestCounts | undefined {
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  return text === "" ? undefined : JSON.parse(text);
}

/** What of a log is worth showing when its suite failed: from "failing tests" on, else its end. */
export function failureText(log: string, maxLines = 120): string {
  const marker = log.lastIndexOf("failing tests:");
  const lines = (marker < 0 ? log : log.slice(marker)).trimEnd().split("\n");
  return (marker < 0 ? lines.slice(-maxLines) : lines.slice(0, maxLines)).join("\n");
}

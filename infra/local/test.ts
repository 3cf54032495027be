/** `npm test`: every check and every test, one suite after another, with totals. Nothing is skipped silently. */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { MissingToolError } from "@manyline/testkit";
import { buildConsole } from "./src/console-build.ts";
import { dataFolder, dataPaths, ROOT } from "./src/paths.ts";
import { createProgress } from "./src/progress.ts";
import { Refusal } from "./src/refusal.ts";
import type { SuiteResult } from "./src/suite-runner.ts";
import { briefOf, failureText, runSuite } from "./src/suite-runner.ts";
import type { Suite } from "./src/suites.ts";
import { listSuites } from "./src/suites.ts";
import { browserPath, newestNats, prepareTools } from "./src/tooling.ts";

const HELP = `npm test -- [suite …]

Runs all suites, or those whose names are given (a name ending in / takes all that begin so).
  --list   the suites with their time budgets
  --help   this text`;

/** Tests never touch servers that somebody uses. */
const NOT_INHERITED = new Set(["DATABASE_URL", "NATS_URL", "REDIS_URL", "NODE_CHANNEL_FD"]);

const say = (text: string): void => void process.stdout.write(text);

function isNamed(suite: Suite, name: string): boolean {
  return suite.name === name || (name.endsWith("/") && suite.name.startsWith(name));
}

function chooseSuites(all: Suite[], names: string[]): Suite[] {
  if (names.length === 0) return all;
  for (const name of names) {
    if (all.some((suite) => isNamed(suite, name))) continue;
    throw new Refusal(`There is no suite ${name}. See: npm test -- --list`);
  }
  return all.filter((suite) => names.some((name) => isNamed(suite, name)));
}

function resultLine({ suite, seconds, counts, problems }: SuiteResult): string {
  const time = `${seconds.toFixed(1)} s of ${suite.budgetSeconds} s`;
  const late = seconds > suite.budgetSeconds ? " (over budget)" : "";
  const totals =
    counts === undefined
      ? ""
      : `, ${counts.tests} tests: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`;
  const state = problems.length === 0 ? "ok    " : "FAILED";
  return `${state}  ${suite.name.padEnd(26)} ${time}${late}${totals}`;
}

async function main(): Promise<boolean> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { list: { type: "boolean" }, help: { type: "boolean", short: "h" } },
  });
  const all = listSuites(ROOT);
  if (values.help === true) {
    say(`${HELP}\n`);
    return true;
  }
  if (values.list === true) {
    for (const { name, budgetSeconds } of all) say(`${name.padEnd(28)} ${budgetSeconds} s\n`);
    return true;
  }
  const suites = chooseSuites(all, positionals);
  const report = createProgress(say);
  const stopping = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => stopping.abort());
  }
  process.once("disconnect", () => stopping.abort());
  process.channel?.unref();

  const paths = dataPaths(dataFolder(process.env));
  const kept = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.has(name));
  const env: NodeJS.ProcessEnv = Object.fromEntries(kept);
  await prepareTools(suites, report);
  const results: SuiteResult[] = [];
  const notRun: string[] = [];
  for (const suite of suites) {
    if (stopping.signal.aborted) throw new Refusal("Stopped before the end.");
    const suiteEnv = { ...env };
    if (suite.needs?.includes("newest-nats") === true) {
      const program = await newestNats(paths.tools, report);
      if (program === undefined) {
        notRun.push(`${suite.name} (NATS contract with the newest nats-server): Go is not on PATH`);
        continue;
      }
      suiteEnv["NATS_SERVER_BIN"] = program;
    }
    if (suite.needs?.includes("chromium") === true) {
      suiteEnv["CHROMIUM"] = await browserPath(report);
    }
    if (suite.needsConsole === true) await buildConsole(ROOT, report);
    report(`${suite.name} (budget ${suite.budgetSeconds} s)`);
    const { signal } = stopping;
    const result = await runSuite(suite, { root: ROOT, logs: paths.tests, env: suiteEnv, signal });
    results.push(result);
    if (result.problems.length > 0) {
      const text = failureText(readFileSync(result.logFile, "utf8"));
      say(
        `\n${text}\n\n${suite.name}: ${result.problems.join(", ")}. All of it: ${result.logFile}\n\n`,
      );
    }
  }
  printTotals(results, notRun);
  return results.every(({ problems }) => problems.length === 0);
}

function printTotals(results: SuiteResult[], notRun: string[]): void {
  const sum = (kind: "tests" | "passed" | "failed" | "skipped"): number =>
    results.reduce((total, { counts }) => total + (counts?.[kind] ?? 0), 0);
  say(`\n${results.map((result) => `${resultLine(result)}\n`).join("")}`);
  for (const line of notRun) say(`not run ${line}\n`);
  const bad = results.filter(({ problems }) => problems.length > 0);
  const totals = `${sum("tests")} tests: ${sum("passed")} passed, ${sum("failed")} failed, ${sum("skipped")} skipped`;
  const verdict = bad.length === 0 ? "All suites passed" : `${bad.length} suites FAILED`;
  say(`\n${verdict}. ${totals}.\n`);
  // Once more and last, where whoever sees only the end of a long output finds it.
  for (const result of bad) say(`\n${briefOf(result)}\n`);
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  const isPlain = error instanceof Refusal || error instanceof MissingToolError;
  const text = isPlain || error instanceof TypeError ? error.message : String(error);
  process.stderr.write(`\n${text}\n`);
  process.exitCode = 1;
}

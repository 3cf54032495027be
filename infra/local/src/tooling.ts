import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { findTool, requireSystemPostgres, requireTool } from "@manyline/testkit";
import type { Progress } from "./progress.ts";
import { Refusal } from "./refusal.ts";
import type { Suite } from "./suites.ts";

const run = promisify(execFile);

const BROWSERS = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/**
 * Gets what the suites need: found on this machine, else installed. A tool that cannot be had is an
 * error, never a skipped test.
 */
export async function prepareTools(suites: readonly Suite[], report: Progress): Promise<void> {
  const needs = new Set(suites.flatMap((suite) => suite.needs ?? []));
  if (needs.has("nats")) report(`nats-server: ${await requireTool("nats-server", { report })}`);
  if (needs.has("redis")) report(`redis-server: ${await requireTool("redis-server", { report })}`);
  if (needs.has("kubectl")) report(`kubectl: ${await requireTool("kubectl", { report })}`);
  if (needs.has("system-postgres")) {
    const { version, binDir } = await requireSystemPostgres({ report });
    report(`an older Postgres: ${version} in ${binDir}`);
  }
  if (needs.has("chromium")) report(`browser: ${await browserPath(report)}`);
}

/** The browser of the page tests, which find it by CHROMIUM. */
export async function browserPath(report: Progress): Promise<string> {
  const found = BROWSERS.map((name) => findTool(name)).find((path) => path !== undefined);
  return found ?? requireTool("chromium", { report });
}

/**
 * The newest nats-server, built by Go into `folder`; undefined where there is no Go. The one thing of
 * `npm test` that may be left out, because Go is no requirement.
 */
export async function newestNats(folder: string, report: Progress): Promise<string | undefined> {
  const go = findTool("go") ?? findTool("go", { PATH: "/usr/local/go/bin" });
  if (go === undefined) return undefined;
  const bin = join(folder, "go-bin");
  const program = join(bin, "nats-server");
  await mkdir(bin, { recursive: true });
  report("building the newest nats-server with Go");
  try {
    await run(go, ["install", "github.com/nats-io/nats-server/v2@latest"], {
      env: { ...process.env, GOBIN: bin, GOFLAGS: "" },
    });
  } catch (cause) {
    if (!existsSync(program)) {
      throw new Refusal(`The newest nats-server cannot be built: ${String(cause)}`, { cause });
    }
    report("Go cannot fetch a newer one; using the nats-server built earlier");
  }
  const { stdout } = await run(program, ["--version"]);
  report(stdout.trim());
  return program;
}

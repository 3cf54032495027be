import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import {
  childPids,
  commandLine,
  freePort,
  isAlive,
  reachableDataDir,
  startNats,
  startPostgres,
  startRedis,
  until,
} from "@manyline/testkit";
import { goThroughFlows } from "./flow-round.ts";
import { repairStale } from "./wpp-repair-round.ts";

const FOLDER = join(import.meta.dirname, "..");
const READY = /Manyline is ready/;
/** On a machine that does nothing else; tests may run on a busy one. */
const SECOND_START_MS = 10_000;

type Run = { child: ChildProcess; output: () => string; ended: Promise<number> };

/** All processes below one, at this moment. */
function descendants(pid: number): number[] {
  const children = childPids(pid);
  return children.concat(children.flatMap(descendants));
}

describe("npm start", () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  const running = new Set<Run>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "manyline-start-"));
    const programs = [
      "GATEWAY",
      "SIMULATOR",
      "META_SIMULATOR",
      "WPP_SIMULATOR",
      "WPPCONNECT_SIMULATOR",
      "INBOX",
      "WORKER_HEALTH",
      "INGEST",
      "NOTIFIER",
    ];
    const names = [...programs, "INBOX_SMTP", "POSTGRES", "NATS", "REDIS"];
    const ports = await Promise.all(names.map(async (name) => [name, await freePort()] as const));
    env = {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      MANYLINE_DATA: join(folder, "data"),
      ...Object.fromEntries(ports.map(([name, port]) => [`${name}_PORT`, String(port)])),
    };
  });

  afterEach(async () => {
    for (const run of running) {
      run.child.kill("SIGINT");
      await run.ended;
    }
  });

  after(async () => {
    const postgres = await reachableDataDir(join(folder, "data", "postgres"));
    if (!postgres.startsWith(folder)) await rm(join(postgres, ".."), { recursive: true });
    await rm(folder, { recursive: true });
  });

  function start(script: string, args: string[] = [], more: NodeJS.ProcessEnv = {}): Run {
    const child = spawn(process.execPath, [join(FOLDER, script), ...args], {
      env: { ...env, ...more },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let text = "";
    child.stdout.on("data", (chunk) => (text += String(chunk)));
    child.stderr.on("data", (chunk) => (text += String(chunk)));
    const ended = once(child, "close").then(([code]) => {
      running.delete(run);
      return Number(code ?? -1);
    });
    const run: Run = { child, output: () => text, ended };
    running.add(run);
    return run;
  }

  async function startReady(args: string[] = [], more: NodeJS.ProcessEnv = {}): Promise<Run> {
    const run = start("start.ts", args, more);
    await until(() => READY.test(run.output()) || run.child.exitCode !== null, {
      deadlineMs: 90_000,
      label: "the end of the start",
    });
    assert.match(run.output(), READY);
    return run;
  }

  test("brings everything up, mends a crash, and leaves no process after Ctrl-C", async () => {
    // A handler of flows listens on this machine.
    const run = await startReady([], { HANDLER_OPEN_ADDRESSES: "127.0.0.1" });
    const { pid } = run.child;
    assert.ok(pid !== undefined);

    for (const name of ["GATEWAY", "WORKER_HEALTH", "INGEST", "NOTIFIER"]) {
      const response = await fetch(`http://127.0.0.1:${env[`${name}_PORT`]}/health/ready`);
      assert.equal(response.status, 200);
    }
    const phone = await fetch(`http://127.0.0.1:${env["SIMULATOR_PORT"]}/`);
    assert.match(phone.headers.get("content-type") ?? "", /html/);
    const meta = await fetch(`http://127.0.0.1:${env["META_SIMULATOR_PORT"]}/`);
    assert.match(meta.headers.get("content-type") ?? "", /html/);
    const inbox = await fetch(`http://127.0.0.1:${env["INBOX_PORT"]}/`);
    assert.match(await inbox.text(), /What arrived/);
    const link = pairingLink(run.output());
    assert.equal((await fetch(link)).status, 200);
    for (const name of ["admin-token", "secrets.json", "postgres.password"]) {
      const file = join(env["MANYLINE_DATA"] ?? "", name);
      if (existsSync(file)) assert.equal((await stat(file)).mode & 0o077, 0, name);
    }

    // A second one in the same clone steps back; the first goes on.
    const second = start("start.ts");
    assert.equal(await second.ended, 1);
    assert.match(second.output(), new RegExp(`already runs in this clone \\(process ${pid}`));

    const cli = start("cli.ts", ["pairing-link", "962302"]);
    assert.equal(await cli.ended, 0, cli.output());
    assert.notEqual(pairingLink(cli.output()), link);
    const list = start("cli.ts", ["companies"]);
    assert.equal(await list.ended, 0, list.output());
    assert.match(list.output(), /962302 +Demo Salon/);
    const workers = start("cli.ts", ["workers"]);
    assert.equal(await workers.ended, 0, workers.output());
    assert.match(workers.output(), /^WORKER +HOST +STATE/m);
    const shards = start("cli.ts", ["shards"]);
    assert.equal(await shards.ended, 0, shards.output());
    assert.match(shards.output(), /\b962302\b/);
    const usage = start("cli.ts", ["drain"]);
    assert.equal(await usage.ended, 1);
    assert.match(usage.output(), /^Usage: npm run manyline -- drain <worker> \[--yes\]$/m);

    await repairStale({ env, cli: (...args) => start("cli.ts", args) });

    const at = (name: string): string => `127.0.0.1:${env[`${name}_PORT`]}`;
    await goThroughFlows({
      companyId: "962302",
      gatewayUrl: `http://${at("GATEWAY")}`,
      adminToken: (await readFile(join(env["MANYLINE_DATA"] ?? "", "admin-token"), "utf8")).trim(),
      ingestUrl: `http://${at("INGEST")}`,
      simulatorUrl: `http://${at("META_SIMULATOR")}`,
      natsUrl: `nats://${at("NATS")}`,
    });

    process.kill(findService("session-worker", pid), "SIGKILL");
    await until(() => run.output().includes("session-worker runs again"), { deadlineMs: 30_000 });
    assert.match(run.output(), /session-worker ended unexpectedly; starting it again in 1 s/);

    const all = descendants(pid);
    assert.ok(all.length >= 6, `only ${all.length} processes`);
    run.child.kill("SIGINT");
    assert.equal(await run.ended, 0, run.output());
    await assertGone(all);
    assert.ok(!existsSync(join(env["MANYLINE_DATA"] ?? "", "running.json")));
  });

  test("starts again quickly with the same data; when it is killed, everything ends", async (t) => {
    const startedAt = performance.now();
    const run = await startReady();
    const ms = performance.now() - startedAt;
    t.diagnostic(`second start: ${Math.round(ms)} ms (bar ${SECOND_START_MS} ms)`);
    assert.ok(ms < 3 * SECOND_START_MS, "the second start was slow");
    assert.doesNotMatch(run.output(), /demo company .* made/);
    const all = descendants(run.child.pid ?? 0);
    run.child.kill("SIGKILL");
    await run.ended;
    await until(() => !all.some(isAlive), { deadlineMs: 30_000, label: "end of all processes" });
  });

  test("--fresh after that kill: all is new, the admin token too", async () => {
    const file = join(env["MANYLINE_DATA"] ?? "", "admin-token");
    const tokenBefore = await readFile(file, "utf8");
    const run = await startReady(["--fresh"]);
    assert.match(run.output(), /demo company 962302 made/);
    assert.notEqual(await readFile(file, "utf8"), tokenBefore);
  });

  test("a port in use is named with the variable that moves it", async () => {
    const port = Number(env["NATS_PORT"]);
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
    try {
      const run = start("start.ts");
      assert.equal(await run.ended, 1);
      assert.match(run.output(), new RegExp(`Port ${port} is in use.*NATS_PORT`));
      assert.doesNotMatch(run.output(), /\n\s+at /);
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test("servers given by URL are used, and still run afterwards", async () => {
    await using postgres = await startPostgres();
    await using nats = await startNats();
    await using redis = await startRedis();
    const urls = { DATABASE_URL: postgres.url, NATS_URL: nats.url, REDIS_URL: redis.url };
    const run = await startReady([], { ...urls, MANYLINE_DATA: join(folder, "by-url") });
    assert.match(run.output(), /Postgres by DATABASE_URL/);
    run.child.kill("SIGTERM");
    assert.equal(await run.ended, 0, run.output());
    for (const { pid } of [postgres, nats, redis]) assert.ok(pid !== null && isAlive(pid));
  });

  test("Ctrl-C in the middle of a start leaves nothing behind either", async () => {
    const run = start("start.ts");
    await until(() => run.output().includes("Postgres on port"), { deadlineMs: 30_000 });
    const all = descendants(run.child.pid ?? 0);
    run.child.kill("SIGINT");
    assert.equal(await run.ended, 0, run.output());
    await assertGone(all);
  });
});

/** The reaper sees the end of its parent a moment later; everything else has ended before. */
async function assertGone(pids: number[]): Promise<void> {
  const left = pids.filter(isAlive).filter((pid) => !commandLine(pid).includes("manyline-reaper"));
  assert.deepEqual(left.map(commandLine), []);
  await until(() => !pids.some(isAlive), { deadlineMs: 2000, label: "end of the reaper" });
}

function findService(name: string, pid: number): number {
  const found = childPids(pid).find((id) => commandLine(id).includes(`services/${name}/`));
  assert.ok(found !== undefined, `${name} does not run`);
  return found;
}

function pairingLink(text: string): string {
  const link = /http:\/\/\S+whatsapp-pairing\.html\S+/.exec(text)?.[0];
  assert.ok(link !== undefined, `no pairing link in: ${text}`);
  return link;
}

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { until } from "@manyline/testkit";
import { ROOT } from "../src/paths.ts";

/**
 * The bootstrap in a small clone of its own. In place of npx stands a program that notes its call and
 * either "installs" (links Node) or fails as npm does without a network.
 */
describe("bootstrap", () => {
  let clone: string;
  let bin: string;
  const notes = (): string => join(clone, "npx-calls");

  before(async () => {
    clone = await mkdtemp(join(tmpdir(), "manyline-bootstrap-"));
    bin = join(clone, "bin");
    await mkdir(join(clone, "infra", "local"), { recursive: true });
    await mkdir(bin);
    await symlink(process.execPath, join(bin, "node"));
    await cp(join(ROOT, "infra/local/bootstrap.mjs"), join(clone, "infra/local/bootstrap.mjs"));
    await writeFile(join(clone, "pnpm-lock.yaml"), "one");
    await writeFile(
      join(clone, "infra/local/cli.ts"),
      `process.on("SIGTERM", () => { console.log("told"); process.exit(7); });
       console.log("args:" + process.argv.slice(2).join(","));
       if (process.argv[2] === "wait") { setInterval(() => {}, 1000); process.on("disconnect", () => process.exit()); }`,
    );
    await putNpx(
      `mkdir -p node_modules/node/bin && ln -sf "${process.execPath}" node_modules/node/bin/node`,
    );
  });
  after(() => rm(clone, { recursive: true }));

  async function putNpx(body: string): Promise<void> {
    await writeFile(join(bin, "npx"), `#!/bin/sh\necho "$@" >> "${notes()}"\n${body}\n`);
    await chmod(join(bin, "npx"), 0o755);
  }

  function start(args: string[], path = `${bin}:/usr/bin:/bin`): ReturnType<typeof spawn> {
    const script = join(clone, "infra/local/bootstrap.mjs");
    return spawn(join(bin, "node"), [script, ...args], {
      cwd: clone,
      env: { PATH: path },
      stdio: ["ignore", "pipe", "pipe"],
    });
  }

  async function run(args: string[]): Promise<{ code: number; output: string }> {
    const child = start(args);
    let output = "";
    child.stdout?.on("data", (chunk) => (output += String(chunk)));
    child.stderr?.on("data", (chunk) => (output += String(chunk)));
    const [code] = await once(child, "close");
    return { code: Number(code), output };
  }

  async function calls(): Promise<number> {
    const text = await readFile(notes(), "utf8").catch(() => "");
    return text.split("\n").filter((line) => line !== "").length;
  }

  test("says in one sentence that there is no network, and tries again the next time", async () => {
    await putNpx(`echo "npm error code EAI_AGAIN" >&2; exit 1`);
    const { code, output } = await run(["cli"]);
    assert.equal(code, 1);
    assert.match(output, /registry cannot be reached/);
    await putNpx(
      `mkdir -p node_modules/node/bin && ln -sf "${process.execPath}" node_modules/node/bin/node`,
    );
  });

  test("installs once, passes arguments on, and does not call npx again", async () => {
    const callsBefore = await calls();
    const first = await run(["cli", "--one", "two"]);
    assert.match(first.output, /Installing packages[^]*args:--one,two/);
    assert.equal(await calls(), callsBefore + 1);
    const second = await run(["cli"]);
    assert.doesNotMatch(second.output, /Installing/);
    assert.equal(await calls(), callsBefore + 1);
  });

  test("installs again when the lockfile has changed", async () => {
    const callsBefore = await calls();
    await writeFile(join(clone, "pnpm-lock.yaml"), "two");
    assert.match((await run(["cli"])).output, /dependencies have changed/);
    assert.equal(await calls(), callsBefore + 1);
  });

  test("passes a signal on and ends with the program's exit code", async () => {
    const child = start(["cli", "wait"]);
    let output = "";
    child.stdout?.on("data", (chunk) => (output += String(chunk)));
    await until(() => output.includes("args:wait"));
    child.kill("SIGTERM");
    const [code] = await once(child, "close");
    assert.equal(code, 7);
    assert.match(output, /told/);
  });

  test("stops when the shell between npm and it is killed", async () => {
    const command = `node infra/local/bootstrap.mjs cli wait; true`;
    const shell = spawn("/bin/sh", ["-c", command], {
      cwd: clone,
      env: { PATH: `${bin}:/usr/bin:/bin`, npm_lifecycle_event: "start" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    let output = "";
    shell.stdout.on("data", (chunk) => (output += String(chunk)));
    await until(() => output.includes("args:wait"));
    shell.kill("SIGTERM");
    await once(shell, "close"); // comes when the last process has let go of the output
    assert.match(output, /told/);
  });

  test("an unknown program is refused", async () => {
    assert.deepEqual(await run(["nonsense"]), { code: 1, output: "Unknown program: nonsense.\n" });
  });
});

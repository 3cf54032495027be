/*
 * The first step of `npm start`, `npm test` and `npm run manyline`: runs on the Node that is there
 * (20 or newer), without any dependency. It installs the workspace when that is missing or stale, then
 * hands over to the Node 24 from the lockfile.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const PNPM = "pnpm@12.21.0";
const PROGRAMS = { start: "start.ts", test: "test.ts", cli: "cli.ts" };

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".manyline-install");
const node = join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");

/** A problem that one sentence explains. */
class Refusal extends Error {}

try {
  const [name = "", ...args] = process.argv.slice(2);
  const program = PROGRAMS[name];
  if (program === undefined) fail(`Unknown program: ${name}.`);
  if (Number(process.versions.node.split(".")[0]) < 20) {
    fail(`Manyline needs Node 20 or newer; this is ${process.version}.`);
  }
  const wanted = fingerprint();
  if (!existsSync(node) || read(stampFile) !== wanted) {
    await install();
    writeFileSync(stampFile, wanted);
  }
  process.exitCode = await run(join(here, program), args);
} catch (error) {
  if (!(error instanceof Refusal)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

function fail(sentence) {
  throw new Refusal(sentence);
}

/** What an installation depends on: the lockfile, the manifests of all rooms, and the machine. */
function fingerprint() {
  const rooms = ["packages", "services", "apps", "infra"].flatMap((folder) =>
    list(join(root, folder)).map((entry) => join(folder, entry)),
  );
  const files = ["", "bench", ...rooms].map((room) => join(room, "package.json"));
  const hash = createHash("sha256").update(`${process.platform} ${process.arch} ${root}\n`);
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ...files].sort()) {
    const content = read(join(root, file));
    if (content !== undefined) hash.update(`${file}\n${content}\n`);
  }
  return hash.digest("hex");
}

async function install() {
  const startedAt = Date.now();
  const isFirst = !existsSync(node);
  const why = isFirst ? "first start in this clone" : "the dependencies have changed";
  say(`Installing packages (${why}); on an empty cache this takes a minute.`);
  const npx = findNpx();
  if (npx === undefined)
    fail("npm is needed to install Manyline's packages, but it is not on PATH.");
  const { code, output } = await pipe(npx, ["--yes", PNPM, "install", "--frozen-lockfile"]);
  if (code !== 0) {
    const isOffline = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ERR_SOCKET/.test(
      output,
    );
    fail(
      isOffline
        ? "The packages could not be downloaded: the npm registry cannot be reached from here."
        : "Installing the packages failed; the reason stands above.",
    );
  }
  if (!existsSync(node))
    fail("Node 24 was not installed with the packages; remove node_modules and try again.");
  say(`Installed in ${Math.round((Date.now() - startedAt) / 1000)} s.`);
}

/** npx lies beside the running Node, or on PATH. */
function findNpx() {
  const name = process.platform === "win32" ? "npx.cmd" : "npx";
  const folders = [dirname(process.execPath), ...(process.env.PATH ?? "").split(delimiter)];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Runs a command with its output on our own, and returns the end of it. */
function pipe(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      // Without CI, pnpm asks a question before it replaces an old node_modules, and there is nobody to answer.
      env: { ...process.env, CI: "true" },
    });
    let output = "";
    for (const [input, stream] of [
      [child.stdout, process.stdout],
      [child.stderr, process.stderr],
    ]) {
      createInterface({ input }).on("line", (line) => {
        output = `${output}${line}\n`.slice(-20_000);
        // pnpm judges by the Node it runs on; the packages will run on Node 24.
        if (!line.includes("Unsupported engine")) stream.write(`${line}\n`);
      });
    }
    child.once("error", (error) => resolve({ code: 1, output: String(error) }));
    child.once("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

/** Runs the program on Node 24 and returns its exit code. Signals are passed on; the program decides. */
function run(script, args) {
  return new Promise((resolve) => {
    // The channel tells the program when this process dies without a signal that could be passed on.
    const child = spawn(node, [script, ...args], {
      stdio: ["inherit", "inherit", "inherit", "ipc"],
      env: { ...process.env, MANYLINE_ROOT: root },
    });
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
      process.on(signal, () => child.kill(signal));
    }
    stopWithParent(() => child.kill("SIGTERM"));
    child.once("error", (error) => {
      process.stderr.write(`${node} cannot be started: ${error.message}\n`);
      resolve(1);
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/**
 * npm passes a signal only to the shell that it runs the script in, and the shell ends without telling
 * us: we see it by our new parent.
 */
function stopWithParent(stop) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    stop();
  }, 250);
  timer.unref();
}

function say(sentence) {
  process.stdout.write(`${sentence}\n`);
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

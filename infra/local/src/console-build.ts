import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { excerpt } from "./progress.ts";
import { Refusal } from "./refusal.ts";

const run = promisify(execFile);

/** Rooms and files that the built page depends on. */
const SOURCES = ["apps/console", "packages/contracts/src", "pnpm-lock.yaml"];
const SKIPPED = new Set(["node_modules", "dist", "test", ".vite"]);
const STAMP = ".manyline-built-from";

/** Builds the web pages unless they were built from the very same sources. Returns their folder. */
export async function buildConsole(
  root: string,
  report: (sentence: string) => void,
): Promise<string> {
  const room = join(root, "apps", "console");
  const dist = join(room, "dist");
  const stamp = join(dist, STAMP);
  const hash = await hashOf(root);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return dist;
  report("building the web pages (once per change)");
  const manifest = createRequire(join(room, "package.json")).resolve("vite/package.json");
  const vite = join(dirname(manifest), "bin", "vite.js");
  try {
    await run(process.execPath, [vite, "build"], { cwd: room, maxBuffer: 16 << 20 });
  } catch (cause) {
    const output = cause instanceof Error && "stderr" in cause ? String(cause.stderr) : "";
    throw new Refusal(`The web pages cannot be built:\n${excerpt(output, 10)}`, { cause });
  }
  await writeFile(stamp, hash);
  return dist;
}

/** A hash over names and contents of all sources. */
async function hashOf(root: string): Promise<string> {
  const hash = createHash("sha256").update(process.version);
  for (const source of SOURCES) {
    for (const file of await filesIn(join(root, source))) {
      hash.update(`\n${relative(root, file)}\n`).update(await readFile(file));
    }
  }
  return hash.digest("hex");
}

async function filesIn(path: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOTDIR") return [path];
    throw error;
  }
  const kept = entries.filter(({ name }) => !SKIPPED.has(name));
  const nested = await Promise.all(
    kept.map(async (entry) => {
      const inner = join(path, entry.name);
      return entry.isDirectory() ? filesIn(inner) : [inner];
    }),
  );
  return nested.flat().toSorted();
}

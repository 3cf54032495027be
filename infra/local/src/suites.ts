import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** A program that a suite cannot do without. */
export type Need =
  | "nats"
  | "redis"
  | "postgres"
  | "system-postgres"
  | "chromium"
  | "kubectl"
  | "newest-nats";

/**
 * One step of `npm test`. `check` = a program whose exit code counts; `tests` = files for the test
 * runner, one or several patterns.
 */
export type Suite = {
  name: string;
  /** What it may take on a slow machine with two cores. Three times as long is a failure. */
  budgetSeconds: number;
  kind: "check" | "tests";
  /** Arguments of Node for a check; patterns for tests. */
  args: string[];
  /** Runs several files at a time; otherwise one after another. */
  isParallel?: boolean;
  needs?: Need[];
  /** Web pages are built first. */
  needsConsole?: boolean;
};

const UNIT_PATTERNS = ["packages", "services", "apps", "infra"]
  .map((folder) => `${folder}/*/src/**/*.test.ts`)
  .concat("bench/src/**/*.test.ts");

const LOCAL_ROOM = "infra/local";

/** Budgets of the rooms' integration tests; a room without a line gets the default. */
const BUDGETS: Record<string, number> = {
  [LOCAL_ROOM]: 120,
  "packages/db": 150,
  "services/session-worker": 960,
  "services/gateway": 200,
  bench: 515,
  "packages/simulators": 150,
  "services/webhook-ingest": 130,
};
const DEFAULT_BUDGET = 90;

/** What the rooms' integration tests need, where it is not the servers. */
const NEEDS: Record<string, Need[]> = { "infra/k8s": ["kubectl"] };
const SERVERS: Need[] = ["nats", "redis", "postgres", "system-postgres"];

/** All suites in their order. A room's tests are found by their folder, so a new room cannot be forgotten. */
export function listSuites(root: string): Suite[] {
  const bin = (name: string, file: string): string => join(root, "node_modules", name, "bin", file);
  return [
    check("format", 20, [bin("oxfmt", "oxfmt"), "--check", "."]),
    check("lint", 60, [bin("oxlint", "oxlint")]),
    check("types", 60, [bin("typescript", "tsc"), "-p", "tsconfig.json"]),
    check("types:console", 60, [bin("typescript", "tsc"), "-p", "apps/console/tsconfig.json"]),
    {
      name: "unit",
      budgetSeconds: 90,
      kind: "tests",
      isParallel: true,
      args: UNIT_PATTERNS,
    },
    ...roomsWithTests(root).map((room): Suite => ({
      name: room,
      budgetSeconds: BUDGETS[room] ?? DEFAULT_BUDGET,
      kind: "tests",
      // Chaos is a suite of its own.
      args: [`${room}/test/${room === LOCAL_ROOM ? "" : "**/"}*.test.ts`],
      needs: NEEDS[room] ?? SERVERS,
    })),
    {
      name: "chaos",
      budgetSeconds: 830,
      kind: "tests",
      args: [`${LOCAL_ROOM}/test/chaos/*.test.ts`],
      needs: ["nats", "redis"],
    },
    {
      name: "apps/console",
      budgetSeconds: 280,
      kind: "tests",
      args: ["apps/console/test/**/*.test.ts"],
      needs: ["nats", "redis", "postgres", "chromium"],
      needsConsole: true,
    },
    {
      name: "newest-nats",
      budgetSeconds: 90,
      kind: "tests",
      args: ["packages/runtime/test/**/*.test.ts"],
      needs: ["postgres", "newest-nats"],
    },
  ];
}

function check(name: string, budgetSeconds: number, args: string[]): Suite {
  return { name, budgetSeconds, kind: "check", args };
}

function roomsWithTests(root: string): string[] {
  const inner = ["packages", "services"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .map((entry) => `${folder}/${entry}`)
      .toSorted(),
  );
  return [...inner, "infra/local", "infra/k8s", "bench"].filter((room) =>
    existsSync(join(root, room, "test")),
  );
}

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

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
  needs?: ("nats" | "redis" | "postgres" | "system-postgres" | "chromium" | "newest-nats")[];
  /** Web pages are built first. */
  needsConsole?: boolean;
};

const UNIT_PATTERNS = ["packages", "services", "apps", "infra"].map(
  (folder) => `${folder}/*/src/**/*.test.ts`,
);

/** Budgets of the rooms' integration tests; a room without a line gets the default. */
const BUDGETS: Record<string, number> = {
  "infra/local": 120,
  "services/session-worker": 300,
  "services/gateway": 120,
};
const DEFAULT_BUDGET = 90;

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
      args: [`${room}/test/**/*.test.ts`],
      needs: ["nats", "redis", "postgres", "system-postgres"],
    })),
    {
      name: "apps/console",
      budgetSeconds: 240,
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
  return [...inner, "infra/local", "bench"].filter((room) => existsSync(join(root, room, "test")));
}

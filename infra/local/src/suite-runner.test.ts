import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { briefOf, failureText, problemsOf, runSuite } from "./suite-runner.ts";
import type { SuiteResult } from "./suite-runner.ts";
import type { Suite } from "./suites.ts";

const FILES = {
  good: `test("a", () => {}); test("b", () => {});`,
  bad: `test("a", () => { throw new Error("because"); });`,
  lazy: `test("a", () => {}); test.skip("b", () => {}); test.todo("c");`,
  slow: `test("a", () => new Promise((resolve) => setTimeout(resolve, 30_000)));`,
  // Fails, and leaves something running.
  stuck: `test("a", () => { setInterval(() => {}, 1_000); throw new Error("because"); });`,
};

describe("a suite", () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), "manyline-suites-"));
    for (const [name, body] of Object.entries(FILES)) {
      await mkdir(join(root, name));
      const text = `import { test } from "node:test";\n${body}\n`;
      await writeFile(join(root, name, "one.test.mjs"), text);
    }
  });
  after(() => rm(root, { recursive: true }));

  function run(args: string[], kind: Suite["kind"] = "tests", budget = 20): Promise<SuiteResult> {
    const suite: Suite = { name: "tried", budgetSeconds: budget, kind, args };
    const { NODE_TEST_CONTEXT: _, ...env } = process.env; // this test runs in a test runner itself
    const { signal } = new AbortController();
    return runSuite(suite, { root, logs: join(root, "logs"), env, signal });
  }

  test("passes with its counts", async () => {
    const { problems, counts } = await run(["good/*.test.mjs"]);
    assert.deepEqual(problems, []);
    assert.equal(counts?.passed, 2);
  });

  test("fails for a failed, skipped or todo test", async () => {
    const bad = await run(["bad/*.test.mjs", "good/*.test.mjs"]);
    assert.deepEqual(bad.problems, ["1 failed"]);
    assert.match(failureText(await readFile(bad.logFile, "utf8")), /because/);
    assert.match(briefOf(bad), /^tried: 1 failed\n✖ a \(.*bad.one\.test\.mjs\)\n.*because/);
    assert.deepEqual((await run(["lazy/*.test.mjs"])).problems, ["1 skipped", "1 todo"]);
  });

  test("fails when there is nothing to run, or it takes far too long", async () => {
    assert.equal((await run(["none/*.test.mjs"])).problems.length, 1);
    const late = await run(["slow/*.test.mjs"], "tests", 0.3);
    assert.match(late.problems.join(), /3 times its budget/);
    const stuck = await run(["stuck/*.test.mjs"], "tests", 1);
    assert.match(briefOf(stuck), /3 times its budget[^]*because/);
  });

  test("a check counts by its exit code", async () => {
    assert.deepEqual((await run(["-e", "process.exit(0)"], "check")).problems, []);
    assert.deepEqual((await run(["-e", "process.exit(7)"], "check")).problems, ["exit code 7"]);
  });
});

test("no totals or no tests is no pass", () => {
  const counts = { tests: 0, passed: 0, failed: 0, skipped: 0, todo: 0, cancelled: 0 };
  assert.equal(problemsOf(undefined).length, 1);
  assert.equal(problemsOf(counts).length, 1);
  assert.deepEqual(problemsOf({ ...counts, tests: 1, passed: 1 }), []);
});

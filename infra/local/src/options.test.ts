import assert from "node:assert/strict";
import { test } from "node:test";
import { parseStartOptions } from "./options.ts";
import { Refusal } from "./refusal.ts";

test("options of npm start", () => {
  const none = { isFresh: false, isReal: false, isHelp: false, workers: 1 };
  assert.deepEqual(parseStartOptions([], {}), none);
  assert.deepEqual(parseStartOptions(["--fresh"], {}), { ...none, isFresh: true });
  assert.deepEqual(parseStartOptions(["--real", "--help", "--workers", "3"], {}), {
    isFresh: false,
    isReal: true,
    isHelp: true,
    workers: 3,
  });
});

test("what is unknown or makes no sense is refused in one sentence", () => {
  const cases: [string[], NodeJS.ProcessEnv, RegExp][] = [
    [["--frehs"], {}, /Unknown option '--frehs'.*--help/],
    [["fresh"], {}, /fresh/],
    [["--workers", "9"], {}, /--workers must be a number from 1 to 8/],
    [["--workers", "two"], {}, /not "two"/],
    [["--real"], { TIME_SCALE: "10" }, /TIME_SCALE cannot be used with --real/],
    [["--fresh"], { DATABASE_URL: "postgres://a@b/c" }, /cannot empty the database/],
  ];
  for (const [args, env, message] of cases) {
    assert.throws(
      () => parseStartOptions(args, env),
      (error: unknown) => {
        assert.ok(error instanceof Refusal);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
  }
  assert.ok(parseStartOptions(["--real"], { TIME_SCALE: "1" }).isReal);
});

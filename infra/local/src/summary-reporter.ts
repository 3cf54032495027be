import type { TestEvent } from "node:test/reporters";
import { inspect } from "node:util";

/** What one run of the test runner amounts to. */
export type TestCounts = {
  tests: number;
  passed: number;
  failed: number;
  skipped: number;
  todo: number;
  cancelled: number;
};

/** A test that failed, and why. */
export type TestFailure = { name: string; file: string; error: string };

/** One line of the reporter's file. */
export type SummaryLine = { failure: TestFailure } | { counts: TestCounts };

/**
 * A reporter for `node --test`: one line of JSON for each failure, as soon as it is known (a run that is ended
 * because it takes too long still tells what went wrong in it), and one with the totals at the end.
 */
export default async function* summaryReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string, void> {
  for await (const event of source) {
    const line = lineOf(event);
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function lineOf(event: TestEvent): SummaryLine | undefined {
  if (event.type === "test:fail") {
    const { name, file, todo, details } = event.data;
    const { error } = details;
    const isOfAnother = "failureType" in error && error.failureType === "subtestsFailed";
    if (isOfAnother || todo !== undefined) return undefined;
    return { failure: { name, file: file ?? "", error: inspect(error.cause ?? error) } };
  }
  // A summary without a file is that of the whole run.
  if (event.type !== "test:summary" || event.data.file !== undefined) return undefined;
  const { tests, passed, skipped, todo, cancelled } = event.data.counts;
  const failed = tests - passed - skipped - todo - cancelled;
  return { counts: { tests, passed, failed, skipped, todo, cancelled } };
}

import type { TestEvent } from "node:test/reporters";

/** What one run of the test runner amounts to. */
export type TestCounts = {
  tests: number;
  passed: number;
  failed: number;
  skipped: number;
  todo: number;
  cancelled: number;
};

/** A reporter for `node --test` that writes only the totals, as JSON. */
export default async function* summaryReporter(
  source: AsyncIterable<TestEvent>,
): AsyncGenerator<string, void> {
  for await (const event of source) {
    // A summary without a file is that of the whole run.
    if (event.type !== "test:summary" || event.data.file !== undefined) continue;
    const { tests, passed, skipped, todo, cancelled } = event.data.counts;
    const failed = tests - passed - skipped - todo - cancelled;
    yield JSON.stringify({ tests, passed, failed, skipped, todo, cancelled });
  }
}

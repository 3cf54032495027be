import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, test } from "node:test";
import { until } from "@manyline/testkit";

const SAMPLE = new URL("sample-service.ts", import.meta.url).pathname;

type Sample = {
  readonly child: ChildProcess;
  readonly lines: () => Record<string, unknown>[];
  readonly text: () => string;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>;
};

let samples: Sample[] = [];

afterEach(() => {
  for (const { child } of samples) child.kill("SIGKILL");
  samples = [];
});

function startSample(env: Record<string, string>, isTraced = true): Sample {
  const imports = isTraced ? ["--import", "@manyline/runtime/telemetry"] : [];
  const child = spawn(process.execPath, [...imports, SAMPLE], {
    // Self-reference by package name works from inside the package only.
    cwd: new URL("..", import.meta.url).pathname,
    env: { PATH: process.env["PATH"] ?? "", PORT: "0", OTEL_SERVICE_NAME: "sample", ...env },
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  const sample: Sample = {
    child,
    ended,
    text: () => text,
    lines: () =>
      text
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
  samples.push(sample);
  return sample;
}

async function listening(sample: Sample): Promise<Record<string, unknown>> {
  return until(() => sample.lines().find((line) => line["msg"] === "listening"));
}

describe("a real process", () => {
  test("serves health and metrics, carries traces, and stops at SIGTERM with code 0", async () => {
    const sample = startSample({});
    const line = await listening(sample);
    assert.match(String(line["traceparent"]), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    const base = `http://127.0.0.1:${String(line["port"])}`;
    assert.equal((await fetch(`${base}/health/ready`)).status, 200);
    const metrics = await (await fetch(`${base}/metrics`)).text();
    assert.match(metrics, /process_memory_bytes/);
    assert.match(metrics, /service_name="sample"/);
    sample.child.kill("SIGTERM");
    assert.equal(await sample.ended, 0);
    assert.deepEqual(
      sample
        .lines()
        .map((entry) => entry["state"])
        .filter((state) => state !== undefined),
      ["STARTING", "RUNNING", "STOPPING", "STOPPED"],
    );
  });

  test("works without telemetry: no trace, empty metrics", async () => {
    const sample = startSample({}, false);
    const line = await listening(sample);
    assert.equal(line["traceparent"], undefined);
    const metrics = await fetch(`http://127.0.0.1:${String(line["port"])}/metrics`);
    assert.equal(await metrics.text(), "");
    sample.child.kill("SIGINT");
    assert.equal(await sample.ended, 0);
  });

  test("sends its spans to the collector before it ends", async () => {
    const seen: string[] = [];
    const collector = createServer((request, response) => {
      seen.push(`${request.method} ${request.url}`);
      request.resume().on("end", () => response.end("{}"));
    });
    await new Promise<void>((resolve) => {
      collector.listen(0, "127.0.0.1", resolve);
    });
    try {
      const { port } = collector.address() as AddressInfo;
      const sample = startSample({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}/` });
      await listening(sample);
      sample.child.kill("SIGTERM");
      assert.equal(await sample.ended, 0);
      assert.deepEqual(seen, ["POST /v1/traces"]);
    } finally {
      collector.closeAllConnections();
      collector.close();
    }
  });

  test("says in one sentence that a port is in use", async () => {
    const first = startSample({});
    const { port } = await listening(first);
    const second = startSample({ PORT: String(port) });
    assert.equal(await second.ended, 1);
    const fatal = second.lines().find((line) => line["level"] === "fatal");
    assert.equal(
      fatal?.["msg"],
      `Port ${String(port)} is in use by another process; free it or set another port.`,
    );
  });

  test("says every mistake in its configuration and ends with 1", async () => {
    const sample = startSample({ PORT: "many", MODE: "odd" });
    assert.equal(await sample.ended, 1);
    const fatal = sample.lines().find((line) => line["level"] === "fatal");
    assert.match(String(fatal?.["msg"]), /PORT must be .*\n.*MODE must be one of plain/);
  });

  for (const [mode, what] of [
    ["throw", "thrown later"],
    ["reject", "rejected later"],
  ] as const) {
    test(`ends with 1 when something was ${what}`, async () => {
      const sample = startSample({ MODE: mode });
      assert.equal(await sample.ended, 1);
      const fatal = sample.lines().find((line) => line["level"] === "fatal");
      const err = fatal?.["err"] as Record<string, unknown> | undefined;
      assert.equal(err?.["message"], what);
    });
  }

  test("is ended by force when something holds the event loop", async () => {
    const sample = startSample({ MODE: "leak" });
    await listening(sample);
    sample.child.kill("SIGTERM");
    assert.equal(await sample.ended, 1);
    assert.match(sample.text(), /stopping took too long/);
  });

  test("leaves a hanging step behind and stops the rest", async () => {
    const sample = startSample({ MODE: "hang" });
    await listening(sample);
    sample.child.kill("SIGTERM");
    assert.equal(await sample.ended, 0);
    assert.match(sample.text(), /"step":"hangs".*left behind/);
  });
});

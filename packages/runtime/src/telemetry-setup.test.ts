import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace";
import { createLogger } from "./logger.ts";
import { createMetrics, registerProcessMetrics } from "./metrics.ts";
import { startTelemetry } from "./telemetry-setup.ts";
import { metricsText, stopTelemetry } from "./telemetry-state.ts";
import { currentTraceparent, withSpan, withTraceparent } from "./trace.ts";

const exporter = new InMemorySpanExporter();

before(async () => {
  await startTelemetry({
    service: "test",
    version: "1.2.3",
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  });
});

after(() => stopTelemetry());

const PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("a span continues the trace it was given, and hands it on", async () => {
  assert.equal(currentTraceparent(), undefined);
  const inner = await withSpan("outer", { parent: PARENT, kind: "consumer" }, () =>
    withSpan("inner", {}, async () => {
      await Promise.resolve();
      return currentTraceparent();
    }),
  );
  assert.match(inner ?? "", /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  const spans = exporter.getFinishedSpans();
  const innerSpan = spans.find((span) => span.name === "inner");
  const outerSpan = spans.find((span) => span.name === "outer");
  assert.equal(outerSpan?.parentSpanContext?.spanId, "b7ad6b7169203331");
  assert.equal(innerSpan?.parentSpanContext?.spanId, outerSpan?.spanContext().spanId);
  assert.equal(outerSpan?.resource.attributes["service.name"], "test");
});

test("a traceparent that is none begins a trace of its own", async () => {
  for (const parent of ["", "nonsense", `00-${"0".repeat(32)}-${"0".repeat(16)}-01`]) {
    const own = await withSpan("own", { parent }, () => currentTraceparent());
    assert.match(own ?? "", /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  }
});

test("a caller that does not sample is heard", async () => {
  const unsampled = PARENT.replace(/01$/, "00");
  exporter.reset();
  const own = await withSpan("quiet", { parent: unsampled }, () => currentTraceparent());
  assert.match(own ?? "", /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
  assert.deepEqual(exporter.getFinishedSpans(), []);
});

test("an error marks the span by its type, and data stays out of attributes", async () => {
  exporter.reset();
  await assert.rejects(
    withSpan("fails", { attributes: { phone: "79001234567", note: "K7MP-2XQ9", tries: 2 } }, () => {
      throw new RangeError("no code for 79001234567");
    }),
    RangeError,
  );
  const [span] = exporter.getFinishedSpans();
  assert.deepEqual(span?.attributes, {
    phone: "7900*****67",
    note: "[redacted]",
    tries: 2,
    "error.type": "RangeError",
  });
  assert.deepEqual(span?.status, { code: 2, message: "RangeError" });
  assert.deepEqual(span?.events, []);
});

test("log lines inside a trace carry its id", () => {
  let line = "";
  const destination = {
    write(text: string): void {
      line = text;
    },
  };
  const logger = createLogger({ service: "s", version: "1", destination });
  withTraceparent(PARENT, () => logger.info("inside"));
  assert.match(line, /"trace_id":"0af7651916cd43dd8448eb211c80319c"/);
  logger.info("outside");
  assert.doesNotMatch(line, /trace_id/);
});

test("metrics appear as Prometheus text", async () => {
  const own = createMetrics("test");
  own.counter("events_published", { description: "events" }).add(2, { type: "session" });
  const latency = own.histogram("relay_duration", { description: "relay" });
  await latency.time(() => Promise.resolve());
  await assert.rejects(latency.time(() => Promise.reject(new Error("x"))));
  let depth = 3;
  const end = own.gauge("queue_depth", { description: "waiting" }, () => [
    { value: depth, attributes: { queue: "sends" } },
  ]);
  const endProcess = registerProcessMetrics();
  const text = await metricsText();
  assert.match(text, /^events_published_total\{type="session"\} 2$/m);
  assert.match(text, /^relay_duration_seconds_count\S* 2$/m);
  assert.match(text, /^relay_duration_seconds_bucket\{le="0.001"\} \d$/m);
  assert.match(text, /^queue_depth\{queue="sends"\} 3$/m);
  assert.match(text, /^process_memory_bytes\{kind="rss"\} \d{6,}$/m);
  assert.match(text, /^event_loop_lag_seconds\{quantile="0.99"\} [\d.e-]+$/m);
  assert.match(text, /service_name="test"/);
  depth = 4;
  end();
  endProcess();
  assert.doesNotMatch(await metricsText(), /queue_depth\{queue="sends"\} 4/);
});

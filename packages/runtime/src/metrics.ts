/**
 * Counters, histograms and gauges. Attributes are of low cardinality: kinds, outcomes, event names;
 * never a company, a number or a message. Without telemetry loaded all of this does nothing.
 */
import { metrics } from "@opentelemetry/api";
import type { Meter } from "@opentelemetry/api";
import { monitorEventLoopDelay } from "node:perf_hooks";

export type MetricAttributes = Readonly<Record<string, string | number | boolean>>;
/** `unit` becomes the end of the name, as Prometheus wants it: `relay_duration_seconds`. */
export type MetricText = { readonly description: string; readonly unit?: MetricUnit };
export type MetricUnit = "seconds" | "bytes" | "none";

/** Only goes up. */
export type Counter = { add(count?: number, attributes?: MetricAttributes): void };
/** Distribution of a measure, of seconds unless said otherwise. */
export type Histogram = {
  record(value: number, attributes?: MetricAttributes): void;
  /** Measures `fn` in seconds, whether it succeeds or throws. */
  time<T>(fn: () => Promise<T> | T, attributes?: MetricAttributes): Promise<T>;
};
/** One observed value for one set of attributes. */
export type Observation = { readonly value: number; readonly attributes?: MetricAttributes };

export type Metrics = {
  counter(name: string, text: MetricText): Counter;
  histogram(
    name: string,
    text: MetricText & { readonly boundaries?: readonly number[] },
  ): Histogram;
  /** `observe` is called at every scrape; the answer ends it. */
  gauge(
    name: string,
    text: MetricText,
    observe: () => number | readonly Observation[] | Promise<number | readonly Observation[]>,
  ): () => void;
};

/** From 1 ms to 60 s, in seconds. */
const DURATION_BOUNDARIES = [
  0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** The metrics of one part of a process: names are `snake_case`, without the unit, which is added. */
export function createMetrics(part: string): Metrics {
  // Asked for at first use: a meter fetched before telemetry is loaded would stay deaf for ever.
  let cached: Meter | undefined;
  const meter = (): Meter => (cached ??= metrics.getMeter(part));
  return {
    counter: (name, text) => {
      const counter = meter().createCounter(fullName(name, text), {
        description: text.description,
      });
      return { add: (count = 1, attributes = {}) => counter.add(count, attributes) };
    },
    histogram: (name, { boundaries = DURATION_BOUNDARIES, description, unit = "seconds" }) => {
      const histogram = meter().createHistogram(fullName(name, { description, unit }), {
        description,
        advice: { explicitBucketBoundaries: [...boundaries] },
      });
      const record = (value: number, attributes: MetricAttributes = {}): void =>
        histogram.record(value, attributes);
      return {
        record,
        time: async (fn, attributes) => {
          const startedAt = performance.now();
          try {
            return await fn();
          } finally {
            record((performance.now() - startedAt) / 1000, attributes);
          }
        },
      };
    },
    gauge: (name, text, observe) => {
      const gauge = meter().createObservableGauge(fullName(name, text), {
        description: text.description,
      });
      const callback: Parameters<typeof gauge.addCallback>[0] = async (result) => {
        const observed = await observe();
        if (typeof observed === "number") result.observe(observed);
        else for (const { value, attributes = {} } of observed) result.observe(value, attributes);
      };
      gauge.addCallback(callback);
      return () => gauge.removeCallback(callback);
    },
  };
}

/** The unit goes into the name here, since the exporter leaves names as they are. */
function fullName(name: string, { unit = "none" }: MetricText): string {
  return unit === "none" || name.endsWith(`_${unit}`) ? name : `${name}_${unit}`;
}

/** Memory, CPU time and event loop lag of this process. The answer ends it. */
export function registerProcessMetrics(): () => void {
  const own = createMetrics("process");
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  const ends = [
    own.gauge("process_memory", { description: "memory by kind", unit: "bytes" }, () => {
      const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
      return [
        { value: rss, attributes: { kind: "rss" } },
        { value: heapUsed, attributes: { kind: "heap_used" } },
        { value: heapTotal, attributes: { kind: "heap_total" } },
        { value: external, attributes: { kind: "external" } },
      ];
    }),
    own.gauge("process_cpu_time", { description: "CPU time since start", unit: "seconds" }, () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    }),
    own.gauge(
      "event_loop_lag",
      { description: "event loop delay since the last look", unit: "seconds" },
      () => {
        const seen = [
          { value: lag.percentile(50) / 1e9, attributes: { quantile: "0.5" } },
          { value: lag.percentile(99) / 1e9, attributes: { quantile: "0.99" } },
          { value: lag.max / 1e9, attributes: { quantile: "1" } },
        ];
        lag.reset();
        return seen;
      },
    ),
  ];
  return () => {
    lag.disable();
    for (const end of ends) end();
  };
}

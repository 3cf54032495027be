import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { PrometheusExporter, PrometheusSerializer } from "@opentelemetry/exporter-prometheus";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { MeterProvider } from "@opentelemetry/sdk-metrics";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { SpanProcessor } from "@opentelemetry/sdk-trace";
import { setTelemetry } from "./telemetry-state.ts";
import type { Telemetry } from "./telemetry-state.ts";

export type TelemetryOptions = {
  readonly service: string;
  readonly version?: string;
  /** Where spans go, for example `http://collector:4318`. Without it none leave the process. */
  readonly otlpEndpoint?: string;
  /** The share of traces begun here that are kept, 0 to 1; default 1. Callers' decisions are kept. */
  readonly sampleRatio?: number;
  /** For tests: spans go here as well. */
  readonly spanProcessors?: readonly SpanProcessor[];
};

/**
 * Registers the global tracer and meter providers. Spans are made even where nobody collects them,
 * because their ids travel in messages (`traceparent`) and in log lines.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const resource = resourceFromAttributes({
    "service.name": options.service,
    ...(options.version === undefined ? {} : { "service.version": options.version }),
  });
  const root =
    options.sampleRatio === undefined
      ? new AlwaysOnSampler()
      : new TraceIdRatioBasedSampler(options.sampleRatio);
  const tracerProvider = new TracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root }),
    spanProcessors: [
      ...(options.spanProcessors ?? []),
      ...(options.otlpEndpoint === undefined ? [] : [await otlpProcessor(options.otlpEndpoint)]),
    ],
  });
  const exporter = new PrometheusExporter({ preventServerStart: true });
  const meterProvider = new MeterProvider({ resource, readers: [exporter] });
  const serializer = new PrometheusSerializer(undefined, false, undefined, false, true);

  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  trace.setGlobalTracerProvider(tracerProvider);
  metrics.setGlobalMeterProvider(meterProvider);

  const telemetry: Telemetry = {
    metricsText: async () => {
      const { resourceMetrics } = await exporter.collect();
      return serializer.serialize(resourceMetrics);
    },
    stop: async () => {
      await Promise.allSettled([tracerProvider.shutdown(), meterProvider.shutdown()]);
      trace.disable();
      metrics.disable();
      propagation.disable();
      context.disable();
    },
  };
  setTelemetry(telemetry);
  return telemetry;
}

/** Loaded only when wanted: the exporter doubles the start-up cost. */
async function otlpProcessor(endpoint: string): Promise<SpanProcessor> {
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  const url = `${endpoint.replace(/\/+$/, "")}/v1/traces`;
  return new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url }) });
}

/**
 * Loaded before a service: `node --import @manyline/runtime/telemetry src/main.ts`, never imported
 * by code. The one module of this package that acts on import and reads the environment: only
 * OpenTelemetry's own variables, which service code leaves alone.
 *
 * OTEL_SERVICE_NAME, OTEL_SERVICE_VERSION; OTEL_EXPORTER_OTLP_ENDPOINT (without it no span leaves);
 * OTEL_TRACES_SAMPLER_ARG (share of traces, 0 to 1); OTEL_SDK_DISABLED=true (nothing at all).
 */
import { startTelemetry } from "./telemetry-setup.ts";

const {
  OTEL_SERVICE_NAME: service,
  OTEL_SERVICE_VERSION: version,
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint,
  OTEL_TRACES_SAMPLER_ARG: ratio,
  OTEL_SDK_DISABLED: isDisabled,
} = process.env;

if (isDisabled !== "true") {
  const sampleRatio = ratio === undefined || ratio === "" ? undefined : Number(ratio);
  await startTelemetry({
    service: service === undefined || service === "" ? "manyline" : service,
    ...(version === undefined ? {} : { version }),
    ...(otlpEndpoint === undefined || otlpEndpoint === "" ? {} : { otlpEndpoint }),
    ...(sampleRatio !== undefined && sampleRatio >= 0 && sampleRatio <= 1 ? { sampleRatio } : {}),
  });
}

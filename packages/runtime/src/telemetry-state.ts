/** What a loaded telemetry offers; here, so that using it costs no import of the SDK. */
export type Telemetry = {
  /** Everything measured, in Prometheus' text format. */
  metricsText(): Promise<string>;
  /** Sends what is still held back and ends. */
  stop(): Promise<void>;
};

let current: Telemetry | undefined;

export function setTelemetry(telemetry: Telemetry | undefined): void {
  current = telemetry;
}

export function isTelemetryLoaded(): boolean {
  return current !== undefined;
}

/** The body of `/metrics`. Empty when the process was started without telemetry. */
export function metricsText(): Promise<string> {
  return current?.metricsText() ?? Promise.resolve("");
}

/** The `Content-Type` that belongs to `metricsText`. */
export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Sends held-back spans. `runService` does this as its last step. */
export async function stopTelemetry(): Promise<void> {
  const telemetry = current;
  current = undefined;
  await telemetry?.stop();
}

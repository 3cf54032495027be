import { createMetrics } from "@manyline/runtime";
import type { Logger } from "@manyline/runtime";

/** A finished request. `route` is the pattern, never the URL, which may hold what a person typed. */
export type RequestReport = {
  readonly requestId: string;
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly durationMs: number;
  readonly companyId: string | undefined;
  readonly actor: string | undefined;
  readonly errorCode: string | undefined;
};

export type Reports = {
  requestDone(report: RequestReport): void;
  /** A 5xx of our own making, with the error; the answer shows none of it. */
  requestFailed(requestId: string, route: string, error: unknown): void;
  /** `outcome`: done, failed, dead, or timeout when nobody answered in time. */
  commandDone(verb: string, outcome: string, durationMs: number): void;
  streamOpened(): void;
  streamClosed(reason: string): void;
  linkExchanged(isGood: boolean): void;
  jobItemsSent(kind: string, count: number): void;
};

/** One function per business event: a log line and a counter of low cardinality. */
export function createReports(logger: Logger): Reports {
  const log = logger.child({ component: "http" });
  const metrics = createMetrics("gateway");
  const requests = metrics.histogram("http_server_request_duration", {
    description: "time until an answer was sent, by route and status",
  });
  const commands = metrics.histogram("gateway_command_duration", {
    description: "time until a command had its result, by verb and outcome",
  });
  const streams = metrics.counter("gateway_streams", { description: "event streams by change" });
  const links = metrics.counter("gateway_link_exchanges", {
    description: "pairing links exchanged, by outcome",
  });
  const jobItems = metrics.counter("gateway_job_items", {
    description: "commands that bulk jobs have sent, by kind",
  });
  const isQuiet = (route: string): boolean => route.startsWith("/health") || route === "/metrics";

  return {
    requestDone: (report) => {
      const { method, route, status, durationMs } = report;
      requests.record(durationMs / 1_000, { method, route, status });
      log[isQuiet(route) ? "debug" : "info"](
        {
          event: "request.done",
          request_id: report.requestId,
          method,
          route,
          status,
          duration_ms: Math.round(durationMs),
          ...(report.companyId === undefined ? {} : { company_id: report.companyId }),
          ...(report.actor === undefined ? {} : { actor: report.actor }),
          ...(report.errorCode === undefined ? {} : { error_code: report.errorCode }),
        },
        "request done",
      );
    },
    requestFailed: (requestId, route, error) => {
      log.error(
        { event: "request.failed", request_id: requestId, route, err: error },
        "request failed",
      );
    },
    commandDone: (verb, outcome, durationMs) => {
      commands.record(durationMs / 1_000, { verb, outcome });
    },
    streamOpened: () => streams.add(1, { change: "opened" }),
    streamClosed: (reason) => streams.add(1, { change: "closed", reason }),
    jobItemsSent: (kind, count) => jobItems.add(count, { kind }),
    linkExchanged: (isGood) => links.add(1, { outcome: isGood ? "good" : "refused" }),
  };
}

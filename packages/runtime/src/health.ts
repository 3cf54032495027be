/**
 * Two questions, kept apart. *Live*: should the process be restarted? It asks no dependency, since a
 * restart cures none. *Ready*: can it do its work now? It asks each named check, one second each.
 */
import { createServer } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { METRICS_CONTENT_TYPE } from "./telemetry-state.ts";

export type CheckState = "ok" | "failed" | "timeout";

/** The body of `/health/ready` and `/health/live`. */
export type HealthReport = {
  readonly status: "ok" | "failed";
  /** By name. Only the state: what a failing dependency says is for the log, not for whoever asks. */
  readonly checks: Readonly<Record<string, CheckState>>;
};

export type Health = {
  /** Answers 200 as long as the process can answer at all. */
  live(): HealthReport;
  ready(): Promise<HealthReport>;
  /** From now on never ready: the first step of stopping, so that no new work is sent here. */
  markStopping(): void;
};

export type HealthOptions = {
  /** A check throws or rejects when its dependency cannot be used; promises are awaited. */
  readonly checks: Readonly<Record<string, () => unknown>>;
  /** Per check; default 1 s. */
  readonly timeoutMs?: number;
  /** Told when a check changes its state. */
  readonly onChange?: (name: string, state: CheckState, error: unknown) => void;
};

export function createHealth(options: HealthOptions): Health {
  const timeoutMs = options.timeoutMs ?? 1_000;
  const last = new Map<string, CheckState>();
  let isStopping = false;

  async function runCheck(name: string, check: () => unknown): Promise<[string, CheckState]> {
    const [state, error] = await stateOf(check, timeoutMs);
    if (last.get(name) !== state) {
      const isNews = last.has(name) || state !== "ok";
      last.set(name, state);
      if (isNews) options.onChange?.(name, state, error);
    }
    return [name, state];
  }

  return {
    live: () => ({ status: "ok", checks: {} }),
    ready: async () => {
      const entries = Object.entries(options.checks);
      const results = await Promise.all(entries.map(([name, check]) => runCheck(name, check)));
      if (isStopping) results.push(["stopping", "failed"]);
      const isOk = results.every(([, state]) => state === "ok");
      return { status: isOk ? "ok" : "failed", checks: Object.fromEntries(results) };
    },
    markStopping: () => {
      isStopping = true;
    },
  };
}

/** An answer for any HTTP framework: `const a = await answerHealth(…); reply.code(a.status)…`. */
export type HealthAnswer = {
  readonly status: 200 | 404 | 503;
  readonly contentType: string;
  readonly body: string;
};

export type HealthRoutes = {
  readonly health: Health;
  /** The text of `/metrics`. */
  readonly metricsText: () => Promise<string> | string;
};

/** The paths that `answerHealth` knows. */
export const HEALTH_PATHS = ["/health/live", "/health/ready", "/metrics"] as const;

/** Answers `/health/live`, `/health/ready` (503 when not ready) and `/metrics`; 404 for the rest. */
export async function answerHealth(path: string, routes: HealthRoutes): Promise<HealthAnswer> {
  switch (path) {
    case "/health/live":
      return asJson(routes.health.live());
    case "/health/ready":
      return asJson(await routes.health.ready());
    case "/metrics":
      return { status: 200, contentType: METRICS_CONTENT_TYPE, body: await routes.metricsText() };
    default:
      return { status: 404, contentType: "text/plain; charset=utf-8", body: "not found\n" };
  }
}

export type HealthServer = AsyncDisposable & {
  /** The port that was opened, also when 0 was asked for. */
  readonly port: number;
  close(): Promise<void>;
};

/** A server for processes that have no HTTP of their own. Rejects with EADDRINUSE when the port is taken. */
export async function startHealthServer(
  options: HealthRoutes & { readonly port: number; readonly host: string },
): Promise<HealthServer> {
  const server = createServer((request, response) => {
    void respond(options, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  const close = (): Promise<void> => closeServer(server);
  return { port, close, [Symbol.asyncDispose]: close };
}

async function respond(
  routes: HealthRoutes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = ""] = (request.url ?? "").split("?");
  let answer: HealthAnswer;
  try {
    answer = await answerHealth(path, routes);
  } catch {
    answer = { status: 503, contentType: "text/plain; charset=utf-8", body: "failed\n" };
  }
  response.writeHead(answer.status, {
    "content-type": answer.contentType,
    "cache-control": "no-store",
  });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

function asJson(report: HealthReport): HealthAnswer {
  return {
    status: report.status === "ok" ? 200 : 503,
    contentType: "application/json; charset=utf-8",
    body: JSON.stringify(report),
  };
}

async function stateOf(
  check: () => unknown,
  timeoutMs: number,
): Promise<[state: CheckState, error: unknown]> {
  const late = Promise.withResolvers<[CheckState, unknown]>();
  const timer = setTimeout(() => late.resolve(["timeout", undefined]), timeoutMs);
  const outcome = (async (): Promise<[CheckState, unknown]> => {
    try {
      await check();
      return ["ok", undefined];
    } catch (error) {
      return ["failed", error];
    }
  })();
  try {
    return await Promise.race([outcome, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

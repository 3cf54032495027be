/**
 * How a process starts and stops. A service's `main.ts` is: read config, make a logger, `runService`.
 *
 * Stopping runs the deferred steps in reverse order of registration, each under its own limit, then
 * lets the event loop run empty; `process.exit` is only the last resort, since it would cut telemetry
 * and log writes short.
 */
import type { Logger } from "./logger.ts";
import { stopTelemetry } from "./telemetry-state.ts";

export type ServiceState = "STARTING" | "RUNNING" | "STOPPING" | "STOPPED" | "FAILED";

/** What `start` gets: the means to stop again. */
export type ServiceScope = {
  /** Aborted when the service begins to stop; its reason is a ServiceStopping. */
  readonly signal: AbortSignal;
  readonly state: ServiceState;
  /**
   * Registers a stopping step. Register right after opening the thing, so that a start that fails
   * half-way closes what was open. `timeoutMs` (default 10 s) is its share of the grace time; a step
   * that takes longer is left behind with a log line.
   */
  defer(name: string, stop: () => unknown, options?: { timeoutMs?: number }): void;
};

/** The abort reason of `scope.signal`: work interrupted by it has not failed and costs no attempt. */
export class ServiceStopping extends Error {
  override name = "ServiceStopping";
  readonly code = "SERVICE_STOPPING";
  readonly retry = "now";

  constructor(cause: string) {
    super(`the service is stopping: ${cause}`);
  }
}

/** The parts of `process` that are used, so that a test can stand in for it. */
export type ProcessLike = {
  exitCode?: number | string | null | undefined;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  off(event: string, listener: (...args: unknown[]) => void): unknown;
  exit(code: number): void;
};

export type ServiceOptions = {
  readonly name: string;
  readonly logger: Logger;
  readonly start: (scope: ServiceScope) => Promise<void> | void;
  /** For all steps together; default 25 s, below the 30 s that Kubernetes waits by default. */
  readonly graceMs?: number;
  /** After the grace time, how long the event loop may take to run empty; default 3 s. */
  readonly forceMs?: number;
  /** An unhandled rejection of which this is true is logged as an error, and the service goes on. */
  readonly isBearable?: (error: unknown) => boolean;
  readonly process?: ProcessLike;
};

/** A running service, for tests and for processes that hold several. */
export type ServiceHandle = {
  readonly state: ServiceState;
  /** Stops as SIGTERM would. Safe to call more than once. */
  stop(cause?: string): Promise<void>;
  /** Resolves once STOPPED or FAILED. */
  readonly ended: Promise<void>;
};

const DEFAULT_STEP_MS = 10_000;
const TELEMETRY_MS = 2_000;

/**
 * Starts the service and ties it to the process: SIGTERM and SIGINT stop it (a second one ends the
 * process at once), a failed start, an uncaught exception or an unhandled rejection (unless it `isBearable`)
 * is logged as fatal and ends it with code 1. Resolves when RUNNING or FAILED; never rejects.
 */
export async function runService(options: ServiceOptions): Promise<ServiceHandle> {
  const { logger } = options;
  const graceMs = options.graceMs ?? 25_000;
  const forceMs = options.forceMs ?? 3_000;
  const host: ProcessLike = options.process ?? process;
  const steps: { name: string; stop: () => unknown; timeoutMs: number }[] = [];
  const abort = new AbortController();
  const ended = Promise.withResolvers<void>();
  let state: ServiceState = "STARTING";
  let stopping: Promise<void> | undefined;

  function enter(next: ServiceState, fields: object = {}): void {
    state = next;
    logger.info({ event: "service.state", state: next, ...fields }, "service state");
  }

  function stop(cause: string, failure?: { error: unknown }): Promise<void> {
    stopping ??= runStop(cause, failure);
    return stopping;
  }

  async function runStop(cause: string, failure?: { error: unknown }): Promise<void> {
    if (failure !== undefined) host.exitCode = 1;
    enter("STOPPING", { cause });
    abort.abort(new ServiceStopping(cause));
    const deadline = performance.now() + graceMs;
    const lastResort = setTimeout(() => {
      logger.fatal({ event: "service.forced_exit" }, "stopping took too long, ending the process");
      host.exit(1);
    }, graceMs + forceMs);
    lastResort.unref();
    while (steps.length > 0) {
      const step = steps.pop();
      if (step !== undefined) await runStep(step, Math.max(0, deadline - performance.now()));
    }
    await runStep({ name: "telemetry", stop: stopTelemetry, timeoutMs: TELEMETRY_MS }, forceMs);
    // The last resort stays armed: unref'd, it fires only if something still holds the event loop.
    release();
    enter(failure === undefined ? "STOPPED" : "FAILED", { cause });
    ended.resolve();
  }

  async function runStep(
    step: { name: string; stop: () => unknown; timeoutMs: number },
    leftMs: number,
  ): Promise<void> {
    const startedAt = performance.now();
    const limitMs = Math.min(step.timeoutMs, leftMs);
    const outcome = await settleWithin(step.stop, limitMs);
    const fields = { step: step.name, duration_ms: Math.round(performance.now() - startedAt) };
    if (outcome.kind === "done") logger.debug(fields, "stopping step done");
    else if (outcome.kind === "late")
      logger.error(fields, "stopping step took too long, left behind");
    else logger.error({ ...fields, err: outcome.error }, "stopping step failed");
  }

  function fail(error: unknown, what: string): void {
    logger.fatal({ err: error, event: "service.failed" }, what);
    if (stopping !== undefined) host.exitCode = 1;
    void stop(what, { error });
  }

  const onSignal = (signal: string): void => {
    if (stopping !== undefined) {
      logger.warn({ signal }, "second signal, ending the process now");
      host.exit(1);
      return;
    }
    void stop(signal);
  };
  const onSigterm = (): void => onSignal("SIGTERM");
  const onSigint = (): void => onSignal("SIGINT");
  const onException = (error: unknown): void => fail(error, "uncaught exception");
  const onRejection = (error: unknown): void => {
    if (options.isBearable?.(error) === true) {
      logger.error({ err: error, event: "service.rejection" }, "unhandled rejection, going on");
    } else fail(error, "unhandled rejection");
  };
  host.on("SIGTERM", onSigterm);
  host.on("SIGINT", onSigint);
  host.on("uncaughtException", onException);
  host.on("unhandledRejection", onRejection);

  function release(): void {
    // Exceptions stay guarded: one during the last moments must still be logged and end with 1.
    host.off("SIGTERM", onSigterm);
    host.off("SIGINT", onSigint);
  }

  const scope: ServiceScope = {
    signal: abort.signal,
    get state() {
      return state;
    },
    defer: (name, stopStep, { timeoutMs = DEFAULT_STEP_MS } = {}) => {
      steps.push({ name, stop: stopStep, timeoutMs });
    },
  };

  logger.info({ event: "service.state", state }, "service state");
  try {
    await options.start(scope);
    if (stopping === undefined) enter("RUNNING");
  } catch (error) {
    // A stop in the middle of the start makes the start throw: that is no failure.
    if (stopping === undefined || !(error instanceof ServiceStopping)) {
      const clear = explainStartError(error);
      if (clear === undefined) fail(error, "start failed");
      else {
        logger.fatal({ event: "service.failed" }, clear);
        void stop("start failed", { error });
      }
    }
    await stopping;
  }
  return {
    get state() {
      return state;
    },
    stop: (cause = "stop was called") => stop(cause),
    ended: ended.promise,
  };
}

/** One sentence for mistakes an operator can make; undefined when the error has to speak for itself. */
export function explainStartError(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  const port = "port" in error ? ` ${String(error.port)}` : "";
  switch (error.code) {
    case "EADDRINUSE":
      return `Port${port} is in use by another process; free it or set another port.`;
    case "EACCES":
      return "syscall" in error && error.syscall === "listen"
        ? `This user may not open port${port}; set another port.`
        : undefined;
    case "CONFIG_INVALID":
      return error.message;
    default:
      return undefined;
  }
}

type StepOutcome = { kind: "done" } | { kind: "late" } | { kind: "failed"; error: unknown };

async function settleWithin(fn: () => unknown, limitMs: number): Promise<StepOutcome> {
  const late = Promise.withResolvers<StepOutcome>();
  const timer = setTimeout(() => late.resolve({ kind: "late" }), limitMs);
  const done = (async (): Promise<StepOutcome> => {
    try {
      await fn();
      return { kind: "done" };
    } catch (error) {
      return { kind: "failed", error };
    }
  })();
  try {
    return await Promise.race([done, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * JSON lines with ISO times. Field names are the same in every service: `service version component
 * event company_id number_id shard subject msg_id attempt duration_ms trace_id err`. The message is a
 * constant text; data goes into fields. Whatever is logged passes `redact.ts` first.
 */
import { trace } from "@opentelemetry/api";
import { format } from "node:util";
import { pino } from "pino";
import type { DestinationStream, Logger as PinoLogger } from "pino";
import { describeError, redactText, redactValue } from "./redact.ts";

export type Logger = PinoLogger;

export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export type LoggerOptions = {
  /** The process, as in `gateway`. */
  readonly service: string;
  readonly version: string;
  /** Default `info`. */
  readonly level?: LogLevel;
  /** Where lines go; default: standard output, written at once so that a crash loses none. */
  readonly destination?: DestinationStream;
};

/**
 * Makes the one root logger of a process. Parts take `logger.child({ component: 'relay' })`; a
 * child's fields are redacted as well. Lines written inside a span carry its `trace_id`.
 */
export function createLogger(options: LoggerOptions): Logger {
  const logger = pino(
    {
      level: options.level ?? "info",
      base: { service: options.service, version: options.version },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
      },
      // logMethod has made a plain object of every error already; pino must not look at it again.
      serializers: { err: (err: unknown) => err },
      mixin: traceFields,
      hooks: {
        logMethod(args, method) {
          method.apply(this, cleanArguments(args));
        },
      },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );
  return redactChildren(logger);
}

/** pino gives the fields of a child to no hook: `child` is replaced, which all descendants inherit. */
function redactChildren(logger: Logger): Logger {
  const makeChild: Logger["child"] = Reflect.get(logger, "child");
  Reflect.set(logger, "child", function child(this: Logger, fields: object, options: object = {}) {
    return Reflect.apply(makeChild, this, [redactFields(fields), options]);
  });
  return logger;
}

/** A logger that says nothing, for unit tests. */
export function createSilentLogger(): Logger {
  return pino({ level: "silent" });
}

type LogArguments = [fieldsOrText: unknown, text?: string];

/** pino takes (text, …values), (fields, text?, …values) or (error, text?, …values). */
function cleanArguments(args: readonly unknown[]): LogArguments {
  const [first, ...rest] = args;
  if (typeof first === "string") return [formatText([first, ...rest])];
  const hasText = rest.length > 0 && rest[0] !== undefined;
  if (first instanceof Error) {
    return asArguments({ err: describeError(first) }, hasText ? rest : [first.message]);
  }
  const fields = redactFields(first);
  // Without a text pino would take the error's own message, which the error shows anyway.
  return asArguments(fields, hasText ? rest : "err" in fields ? ["error"] : []);
}

function asArguments(first: unknown, rest: readonly unknown[]): LogArguments {
  return rest[0] === undefined ? [first] : [first, formatText(rest)];
}

/** Put together here and not by pino, since a secret may stand in the text or in a value. */
function formatText(parts: readonly unknown[]): string {
  return redactText(format(...parts.map((part) => redactValue(part))));
}

function redactFields(fields: unknown): Record<string, unknown> {
  if (typeof fields !== "object" || fields === null) return { value: redactValue(fields) };
  const clean: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(fields)) {
    const isError = key === "err" || key === "error";
    clean[isError ? "err" : key] = isError ? describeError(value) : redactValue(value, key);
  }
  return clean;
}

function traceFields(): object {
  const context = trace.getActiveSpan()?.spanContext();
  return context === undefined ? {} : { trace_id: context.traceId };
}

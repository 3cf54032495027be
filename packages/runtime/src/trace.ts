/**
 * Spans and the `traceparent` text (W3C Trace Context) that carries them through rows, messages and
 * headers. Attributes are for ids and kinds; codes, phones and texts never go there, and the same
 * filter as for logs makes sure.
 */
import {
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from "@opentelemetry/api";
import type { Context, Span, SpanContext } from "@opentelemetry/api";
import { redactValue } from "./redact.ts";

export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export type SpanOptions = {
  readonly attributes?: SpanAttributes;
  /** The `traceparent` of what caused this; without it the active span, if any, is the parent. */
  readonly parent?: string | undefined;
  /** Default `internal`. */
  readonly kind?: "internal" | "server" | "client" | "producer" | "consumer";
};

const TRACER = "manyline";
const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

/**
 * Runs `fn` inside a span and ends it. What `fn` throws marks the span with the error's type (not
 * its message, which may hold data) and is thrown on.
 */
export function withSpan<T>(
  name: string,
  options: SpanOptions,
  fn: (span: Span) => Promise<T> | T,
): Promise<T> {
  const parent = fromTraceparent(options.parent) ?? context.active();
  const spanOptions = {
    kind: KINDS[options.kind ?? "internal"],
    attributes: cleanAttributes(options.attributes ?? {}),
  };
  return trace.getTracer(TRACER).startActiveSpan(name, spanOptions, parent, async (span) => {
    try {
      return await fn(span);
    } catch (error) {
      const type = error instanceof Error ? error.name : typeof error;
      span.setAttribute("error.type", type);
      span.setStatus({ code: SpanStatusCode.ERROR, message: type });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** The active span as `00-<trace id>-<span id>-<flags>`; undefined outside of any. */
export function currentTraceparent(): string | undefined {
  const spanContext = trace.getActiveSpan()?.spanContext();
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return undefined;
  const flags = spanContext.traceFlags.toString(16).padStart(2, "0");
  return `00-${spanContext.traceId}-${spanContext.spanId}-${flags}`;
}

/** A context whose spans continue that trace; undefined for anything that is not a traceparent. */
export function fromTraceparent(traceparent: string | undefined): Context | undefined {
  const spanContext = parseTraceparent(traceparent);
  return spanContext === undefined ? undefined : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

/** Runs `fn` as a continuation of a trace, without a span of its own. */
export function withTraceparent<T>(traceparent: string | undefined, fn: () => T): T {
  const parent = fromTraceparent(traceparent);
  return parent === undefined ? fn() : context.with(parent, fn);
}

/**
 * Runs `fn` outside of any trace. For what outlives its cause, such as a connection opened by a request:
 * whatever happens on it next week is not part of that request.
 */
export function outsideTrace<T>(fn: () => T): T {
  return context.with(ROOT_CONTEXT, fn);
}

function parseTraceparent(traceparent: string | undefined): SpanContext | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(
    traceparent ?? "",
  );
  const [, version, traceId, spanId, flags] = match ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === "ff") return undefined;
  const isSampled = (Number.parseInt(flags, 16) & TraceFlags.SAMPLED) !== 0;
  const spanContext: SpanContext = {
    traceId,
    spanId,
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
  };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
}

function cleanAttributes(attributes: SpanAttributes): Record<string, string | number | boolean> {
  const clean: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(attributes)) {
    const shown = redactValue(value, key);
    if (typeof shown === "string" || typeof shown === "number" || typeof shown === "boolean") {
      clean[key] = shown;
    }
  }
  return clean;
}

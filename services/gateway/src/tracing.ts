import { fromTraceparent } from "@manyline/runtime";
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import type { App } from "./app.ts";

/**
 * A server span per request, the child of the caller's `traceparent`. Hooks, handler and everything
 * they call run inside it, so that rows and events carry its trace.
 */
export function registerTracing(app: App): void {
  app.decorateRequest("span", null);
  app.decorateRequest("spanContext", null);
  app.addHook("onRequest", (request, _reply, done) => {
    const header = request.headers["traceparent"];
    const parent = fromTraceparent(typeof header === "string" ? header : undefined) ?? ROOT_CONTEXT;
    const route = request.routeOptions.url ?? "unknown";
    const span = trace.getTracer("manyline").startSpan(
      `${request.method} ${route}`,
      {
        kind: SpanKind.SERVER,
        attributes: { "http.request.method": request.method, "http.route": route },
      },
      parent,
    );
    request.span = span;
    request.spanContext = trace.setSpan(parent, span);
    context.with(request.spanContext, done);
  });
  // Reading a body goes through events of the socket, which know nothing of this request's context.
  app.addHook("preValidation", (request, _reply, done) => {
    context.with(request.spanContext ?? ROOT_CONTEXT, done);
  });
  app.addHook("onResponse", (request, reply, done) => {
    const { span } = request;
    span?.setAttribute("http.response.status_code", reply.statusCode);
    if (request.tenant) span?.setAttribute("company_id", request.tenant.companyId);
    if (request.errorCode) span?.setAttribute("error.type", request.errorCode);
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR });
    span?.end();
    done();
  });
}

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import { ManylineError } from "@manyline/contracts";
import Fastify from "fastify";
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, RawServerDefault } from "fastify";
import { registerAuth } from "./auth.ts";
import type { Deps } from "./deps.ts";
import { allowedMethods, rememberRoutes } from "./method-check.ts";
import { registerOpenApi } from "./openapi.ts";
import { asManylineError, toProblem } from "./problem.ts";
import { registerCheck } from "./routes/check.ts";
import { registerCommands } from "./routes/commands.ts";
import { registerCompanies } from "./routes/companies.ts";
import { registerContacts } from "./routes/contacts.ts";
import { registerEnding } from "./routes/ending.ts";
import { registerEvents } from "./routes/events.ts";
import { registerFlowKeys } from "./routes/flow-keys.ts";
import { registerFlows } from "./routes/flows.ts";
import { registerHealth } from "./routes/health.ts";
import { registerJobs } from "./routes/jobs.ts";
import { registerLinkExchange } from "./routes/link-exchange.ts";
import { registerSetup } from "./routes/setup.ts";
import { registerUsage } from "./routes/usage.ts";
import { registerMetaApp } from "./routes/meta-app.ts";
import { registerUnroutable } from "./routes/unroutable.ts";
import { registerMedia } from "./routes/media.ts";
import { registerMessages } from "./routes/messages.ts";
import { registerMetrics } from "./routes/metrics.ts";
import { registerNotifications } from "./routes/notifications.ts";
import { registerNumbers } from "./routes/numbers.ts";
import { registerPages } from "./routes/pages.ts";
import { registerPairingCode } from "./routes/pairing-code.ts";
import { registerPairingLink } from "./routes/pairing-link.ts";
import { registerQr } from "./routes/qr.ts";
import { registerFileLinks } from "./routes/file-links.ts";
import { registerTokens } from "./routes/tokens.ts";
import { registerWpp } from "./routes/wpp.ts";
import { registerReconnect } from "./routes/reconnect.ts";
import { registerSend } from "./routes/send.ts";
import { registerSessions } from "./routes/sessions.ts";
import { registerShardWishes } from "./routes/shard-wishes.ts";
import { registerShards } from "./routes/shards.ts";
import { registerStatus } from "./routes/status.ts";
import { registerWebhookDeliveries } from "./routes/webhook-deliveries.ts";
import { registerWebhooks } from "./routes/webhooks.ts";
import { registerWorkers } from "./routes/workers.ts";
import { registerSecurityHeaders } from "./security-headers.ts";
import { registerTracing } from "./tracing.ts";
import { validatorCompiler } from "./validation.ts";

export type App = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** The whole HTTP side, not listening yet. */
export type BuiltApp = {
  readonly app: App;
  /** From now on `/health/ready` says no. */
  readonly markStopping: () => void;
};

const BODY_LIMIT_BYTES = 1024 * 1024;

/** `isPrepared`: schema and operator's token were checked; until then API routes answer 503. */
export async function buildApp(
  deps: Deps,
  isPrepared: () => boolean = () => true,
): Promise<BuiltApp> {
  const proxies = [...deps.config.http.trustedProxies];
  const app: App = Fastify({
    bodyLimit: BODY_LIMIT_BYTES,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    trustProxy: proxies.length === 0 ? false : proxies,
    genReqId: () => `req_${randomUUID().replaceAll("-", "")}`,
    routerOptions: { maxParamLength: 200 },
    frameworkErrors: (error, request, reply) => {
      void sendProblem(deps, reply, request.id, "unknown", error);
    },
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.setValidatorCompiler(validatorCompiler);
  // Answers are built by typed functions and checked in tests; nothing is left out silently here.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  acceptJsonOnly(app);
  rememberRoutes(app);

  registerReporting(app, deps);
  registerTracing(app);
  registerSecurityHeaders(app);
  app.addHook("onRequest", (request, _reply, done) => {
    const needsDatabase = request.url.startsWith("/api/");
    done(needsDatabase && !isPrepared() ? new ManylineError("UNAVAILABLE") : undefined);
  });
  registerAuth(app, deps);
  app.setErrorHandler((error, request, reply) =>
    sendProblem(deps, reply, request.id, request.routeOptions.url ?? "unknown", error),
  );
  app.setNotFoundHandler((request, reply) => {
    const methods = allowedMethods(app, request.url);
    if (methods.length === 0 || methods.includes(request.method)) {
      return sendProblem(deps, reply, request.id, "unknown", new ManylineError("NOT_FOUND"));
    }
    reply.header("allow", methods.join(", "));
    return sendProblem(deps, reply, request.id, "unknown", new ManylineError("METHOD_NOT_ALLOWED"));
  });

  await registerOpenApi(app, deps.config.http.publicUrl);
  registerCompanies(app, deps);
  registerNumbers(app, deps);
  registerStatus(app, deps);
  registerPairingCode(app, deps);
  registerReconnect(app, deps);
  registerWpp(app, deps);
  registerFileLinks(app, deps);
  registerTokens(app, deps);
  registerEnding(app, deps);
  registerQr(app, deps);
  registerEvents(app, deps);
  registerPairingLink(app, deps);
  registerLinkExchange(app, deps);
  registerSend(app, deps);
  registerMessages(app, deps);
  registerContacts(app, deps);
  registerCheck(app, deps);
  registerMedia(app, deps);
  registerSessions(app, deps);
  registerMetrics(app, deps);
  registerWorkers(app, deps);
  registerShards(app, deps);
  registerShardWishes(app, deps);
  registerJobs(app, deps);
  registerCommands(app, deps);
  registerUnroutable(app, deps);
  registerMetaApp(app, deps);
  registerSetup(app, deps);
  registerUsage(app, deps);
  registerFlowKeys(app, deps);
  registerFlows(app, deps);
  registerNotifications(app, deps);
  registerWebhooks(app, deps);
  registerWebhookDeliveries(app, deps);
  registerPages(app, deps);
  const markStopping = registerHealth(app, deps, isPrepared);
  await app.ready();
  return { app, markStopping };
}

/** One line and one measure for each request, whatever became of it. */
function registerReporting(app: App, deps: Deps): void {
  app.decorateRequest("startedAt", 0);
  app.decorateRequest("errorCode", null);
  app.addHook("onRequest", (request, _reply, done) => {
    request.startedAt = deps.clock.monotonic();
    done();
  });
  app.addHook("onResponse", (request, reply, done) => {
    const { principal, tenant } = request;
    deps.reports.requestDone({
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url ?? "unknown",
      status: reply.statusCode,
      durationMs: deps.clock.monotonic() - request.startedAt,
      companyId: tenant?.companyId,
      actor: principal ? `${principal.kind}:${principal.tokenId}` : undefined,
      errorCode: request.errorCode ?? undefined,
    });
    done();
  });
}

/** The one place where an error becomes an answer. */
function sendProblem(
  deps: Deps,
  reply: FastifyReply,
  requestId: string,
  route: string,
  error: unknown,
): FastifyReply {
  const { status, body, retryAfterSeconds } = toProblem(error, requestId);
  if (reply.request) reply.request.errorCode = body.code;
  if (asManylineError(error).code === "INTERNAL")
    deps.reports.requestFailed(requestId, route, error);
  if (retryAfterSeconds !== undefined) reply.header("retry-after", String(retryAfterSeconds));
  if (status === 401) reply.header("www-authenticate", 'Bearer realm="manyline"');
  return (
    reply
      .code(status)
      .header("cache-control", "no-store")
      // A URL that cannot be read comes here past all hooks.
      .header("x-request-id", requestId)
      .type("application/problem+json; charset=utf-8")
      .serializer((value: unknown) => JSON.stringify(value))
      .send(body)
  );
}

/** No body at all is an empty object, so that `curl -X POST` works where nothing has to be said. */
function acceptJsonOnly(app: App): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "string" }, (request, body, done) => {
    if (body === "") done(null, {});
    else void parse(request, String(body), done);
  });
  app.addHook("preValidation", (request, _reply, done) => {
    if (request.method !== "GET" && request.body === undefined) request.body = {};
    done();
  });
}

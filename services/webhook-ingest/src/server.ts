import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import type { Deps } from "./deps.ts";
import { registerFlows } from "./routes/flows.ts";
import { registerHealth } from "./routes/health.ts";
import { registerWebhooks } from "./routes/webhooks.ts";
import { registerWpp } from "./routes/wpp.ts";

export type HttpApp = FastifyInstance;

const COMPANY_ID_LENGTH = 64;

/** Bodies come as the bytes they are: what is signed must not be parsed and written again. */
export async function buildServer(
  deps: Deps,
  isPrepared: () => boolean,
): Promise<{ app: HttpApp; markStopping: () => void }> {
  const app = Fastify({
    bodyLimit: deps.config.bodyBytes,
    exposeHeadRoutes: false,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: COMPANY_ID_LENGTH },
    requestTimeout: 30_000,
  });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => {
    done(null, body);
  });
  app.addHook("onSend", (_request, reply, payload, done) => {
    reply.header("x-content-type-options", "nosniff");
    done(null, payload);
  });
  app.setErrorHandler(async (error, _request, reply) => {
    const { statusCode = 500 } = error as { statusCode?: number };
    if (statusCode === 413) deps.reports.webhook("too_large", "shared", 0);
    else if (statusCode >= 500) deps.reports.notStored(error);
    const status = statusCode >= 400 && statusCode < 500 ? statusCode : 503;
    return reply.code(status).send({ success: false });
  });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ success: false }));
  registerWebhooks(app, deps, isPrepared);
  registerWpp(app, deps, isPrepared);
  registerFlows(app, deps);
  const markStopping = registerHealth(app, deps, isPrepared);
  await app.ready();
  return { app, markStopping };
}

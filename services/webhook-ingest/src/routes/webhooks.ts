/** Meta's webhooks: `/webhooks/meta` for the app of all, `/webhooks/meta/:companyId` for a company's own. */
import { isOvergrown, parseCompanyId, parseMetaBody, readMetaHead } from "@manyline/contracts";
import { isRetriable, isUnavailable, noteHandshake } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { App } from "../apps.ts";
import type { Deps } from "../deps.ts";
import { BusyError } from "../micro-batcher.ts";
import type { WebhookOutcome } from "../reports.ts";
import type { HttpApp } from "../server.ts";
import { isSameText, isSignedBy } from "../signature.ts";

const PATHS = ["/webhooks/meta", "/webhooks/meta/:companyId"] as const;
const CHALLENGE_LENGTH = 1_000;
/** Meta repeats what is not answered with 200, over days. */
const RETRY_AFTER_SECONDS = "5";

const STATUS: Record<WebhookOutcome, number> = {
  taken: 200,
  other_object: 200,
  bad_signature: 401,
  too_large: 413,
  unreadable: 400,
  unavailable: 503,
  failed: 500,
};

/** `isPrepared`: Postgres was there, with the schema of this build. */
export function registerWebhooks(app: HttpApp, deps: Deps, isPrepared: () => boolean): void {
  for (const path of PATHS) {
    app.get(path, (request, reply) => answerHandshake(deps, request, reply));
    app.post(path, (request, reply) => answerWebhook(deps, request, reply, isPrepared()));
  }
}

const kindOf = (request: FastifyRequest): "shared" | "company" =>
  companyIdOf(request) === undefined ? "shared" : "company";

function companyIdOf(request: FastifyRequest): string | undefined {
  const id: unknown = Object(request.params)["companyId"];
  return typeof id === "string" ? id : undefined;
}

/** Whose app the path is for; undefined: nobody's. */
async function appOf(deps: Deps, request: FastifyRequest): Promise<App | undefined> {
  const id = companyIdOf(request);
  if (id === undefined) return deps.sharedApp;
  const companyId = parseCompanyId(id);
  return companyId === undefined ? undefined : deps.apps.find(companyId);
}

/** Meta asks whether this address is ours: whoever knows the token gets the challenge back, as it came. */
async function answerHandshake(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const query = Object(request.query) as Record<string, unknown>;
  const [mode, token, challenge] = ["mode", "verify_token", "challenge"].map(
    (name) => query[`hub.${name}`],
  );
  const isKnown = await knowsToken(deps, request, token);
  const isGood =
    isKnown &&
    mode === "subscribe" &&
    typeof challenge === "string" &&
    challenge.length <= CHALLENGE_LENGTH;
  deps.reports.handshake(isGood, kindOf(request));
  if (isGood) void rememberHandshake(deps, companyIdOf(request) ?? "");
  reply.type("text/plain; charset=utf-8");
  return isGood ? reply.code(200).send(challenge) : reply.code(403).send("forbidden\n");
}

/** For the check of a number; without Postgres it is not remembered. */
async function rememberHandshake({ db, logger }: Deps, path: string): Promise<void> {
  try {
    await noteHandshake(db, path);
  } catch (error) {
    logger.warn({ event: "webhook.handshake_not_noted", err: error }, "handshake not noted");
  }
}

/** The company may have been given its app a moment ago. */
async function knowsToken(deps: Deps, request: FastifyRequest, token: unknown): Promise<boolean> {
  const isToken = (app: App | undefined): boolean => {
    // The comparison takes place whether there is an app or not.
    const isSame = isSameText(String(token), app?.verifyToken ?? "");
    return isSame && app?.verifyToken !== undefined && typeof token === "string";
  };
  if (isToken(await appOf(deps, request))) return true;
  const companyId = parseCompanyId(companyIdOf(request) ?? "");
  return companyId !== undefined && isToken(await deps.apps.reload(companyId));
}

async function answerWebhook(
  deps: Deps,
  request: FastifyRequest,
  reply: FastifyReply,
  isPrepared: boolean,
): Promise<FastifyReply> {
  const startedAt = deps.clock.monotonic();
  const outcome = isPrepared ? await takeWebhook(deps, request) : "unavailable";
  deps.reports.webhook(outcome, kindOf(request), deps.clock.monotonic() - startedAt);
  const status = STATUS[outcome];
  if (status === 503) reply.header("retry-after", RETRY_AFTER_SECONDS);
  return reply.code(status).send({ success: status === 200 });
}

async function takeWebhook(deps: Deps, request: FastifyRequest): Promise<WebhookOutcome> {
  const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  try {
    const app = await signerOf(deps, request, raw);
    if (!app) return "bad_signature";
    const body = bodyOf(raw);
    if (body === undefined) return "unreadable";
    const { isWhatsapp, isEmpty, wabaId } = readMetaHead(body.value);
    if (!isWhatsapp) return "other_object";
    if (isOvergrown(body.value, raw.length)) return "too_large";
    const account = wabaId ?? "";
    if (!isEmpty) await deps.ingestor.take({ raw, app: app.company ?? null, account }, body.value);
    return "taken";
  } catch (error) {
    if (error instanceof BusyError || isUnavailable(error) || isRetriable(error))
      return "unavailable";
    deps.reports.notStored(error);
    return "failed";
  }
}

/** The app that has signed; a company may have given it a new secret a moment ago. */
async function signerOf(
  deps: Deps,
  request: FastifyRequest,
  raw: Buffer,
): Promise<App | undefined> {
  const header = request.headers["x-hub-signature-256"];
  const app = await appOf(deps, request);
  if (app && isSignedBy(app.secrets, raw, header)) return app;
  const companyId = parseCompanyId(companyIdOf(request) ?? "");
  if (companyId === undefined || header === undefined) return undefined;
  const newer = await deps.apps.reload(companyId);
  return newer && isSignedBy(newer.secrets, raw, header) ? newer : undefined;
}

function bodyOf(raw: Buffer): { value: unknown } | undefined {
  try {
    return { value: parseMetaBody(raw.toString()) };
  } catch {
    return undefined;
  }
}

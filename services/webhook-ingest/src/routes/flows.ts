/**
 * `POST /flows/:companyId`: the endpoint of a company's flows. Meta signs a request with the secret of the app that the
 * flow is linked to, and encrypts it with the company's key: what another company's key opens, is not opened here.
 */
import { randomUUID } from "node:crypto";
import { parseCompanyId, type FlowRequest } from "@manyline/contracts";
import {
  FLOW_ACKNOWLEDGED,
  FLOW_ENDED,
  FLOW_PONG,
  type FlowCall,
  openFlow,
  parseFlowBody,
  readFlowCall,
  sealFlowAnswer,
} from "@manyline/contracts/flows";
import { isFlowToken, openFlowToken } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { App } from "../apps.ts";
import type { Deps } from "../deps.ts";
import type { Desk } from "../flows/desks.ts";
import { HandlerError } from "../flows/handlers.ts";
import type { FlowOutcome } from "../reports.ts";
import type { HttpApp } from "../server.ts";
import { isSignedBy } from "../signature.ts";

/** The statuses that Meta knows are 200, 421, 427 and 432; any other is "unexpected" to it. */
const STATUS: Record<FlowOutcome, number> = {
  pong: 200,
  screen: 200,
  acknowledged: 200,
  unreadable: 400,
  too_large: 413,
  not_for_us: 421,
  invalid_token: 427,
  bad_signature: 432,
  handler_broken: 502,
  handler_absent: 503,
  handler_late: 504,
  unavailable: 503,
};
const WORDS: Partial<Record<FlowOutcome, string>> = {
  unreadable: "This is no request of a flow.",
  too_large: "The request is too large.",
  not_for_us: "The request cannot be decrypted.",
  invalid_token: FLOW_ENDED,
  bad_signature: "The signature does not fit.",
};
const NO_ANSWER = "There is no answer at the moment.";

type Answer = { outcome: FlowOutcome; body?: string; message?: string };

export function registerFlows(app: HttpApp, deps: Deps): void {
  const answer = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const startedAt = deps.clock.monotonic();
    const companyId = parseCompanyId(String(Object(request.params)["companyId"]));
    const { outcome, body, message } = await outcomeOf(deps, companyId, request);
    deps.reports.flow(outcome, deps.clock.monotonic() - startedAt);
    reply.code(STATUS[outcome]).header("cache-control", "no-store");
    if (body !== undefined) return reply.type("text/plain").send(body);
    return reply.send({ error_msg: message ?? WORDS[outcome] ?? NO_ANSWER });
  };
  app.post(
    "/flows/:companyId",
    {
      bodyLimit: deps.config.flows.bodyBytes,
      errorHandler: (error, _request, reply) => {
        const outcome = error.statusCode === 413 ? "too_large" : "unreadable";
        deps.reports.flow(outcome, 0);
        void reply.code(STATUS[outcome]).send({ error_msg: WORDS[outcome] });
      },
    },
    answer,
  );
}

async function outcomeOf(
  deps: Deps,
  companyId: string | undefined,
  request: FastifyRequest,
): Promise<Answer> {
  const raw = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
  try {
    // Whether there is such a company is nobody's business who cannot sign.
    const header = request.headers["x-hub-signature-256"];
    if (!(await isSigned(deps, companyId, raw, header))) return { outcome: "bad_signature" };
    const body = parseFlowBody(raw.toString());
    if (!body) return { outcome: "unreadable" };
    if (companyId === undefined) return { outcome: "not_for_us" };
    const desk = await deps.desks.find(companyId);
    const opened = openWith(desk, body) ?? openWith(await deps.desks.reload(companyId), body);
    if (!opened) return { outcome: "not_for_us" };
    const call = readFlowCall(opened.plain);
    if (!call) return { outcome: "unreadable" };
    const seal = (outcome: FlowOutcome, answer: object): Answer => ({
      outcome,
      body: sealFlowAnswer(opened, answer),
    });
    switch (call.kind) {
      case "ping":
        return seal("pong", FLOW_PONG);
      case "error":
        deps.reports.flowError(opened.desk.companyId, call.error);
        return seal("acknowledged", FLOW_ACKNOWLEDGED);
      case "unknown":
        return { outcome: "unreadable" };
      case "screen": {
        const asked = requestOf(deps, opened.desk, call);
        if (!asked) return { outcome: "invalid_token" };
        const answer = await deps.asker.ask(opened.desk.handler, asked);
        return "screen" in answer
          ? seal("screen", answer)
          : { outcome: "invalid_token", message: answer.message };
      }
    }
  } catch (error) {
    if (error instanceof HandlerError) {
      deps.reports.handlerFailed(companyId ?? "", error);
      return { outcome: `handler_${error.failure}` };
    }
    deps.reports.flowFailed(error);
    return { outcome: "unavailable" };
  }
}

/** The app that has signed: the company's own if it has one, else the one of all; never whichever fits. */
async function isSigned(
  deps: Deps,
  companyId: string | undefined,
  raw: Buffer,
  header: string | string[] | undefined,
): Promise<boolean> {
  if (header === undefined) return false;
  const fits = (app: App | undefined): boolean =>
    isSignedBy((app ?? deps.sharedApp)?.secrets ?? [], raw, header);
  if (companyId === undefined) return fits(undefined);
  if (fits(await deps.apps.find(companyId))) return true;
  // It may have been given an app, or a new secret, a moment ago.
  const newer = await deps.apps.reload(companyId);
  return newer !== undefined && fits(newer);
}

type Opened = NonNullable<ReturnType<typeof openFlow>> & { desk: Desk };

function openWith(
  desk: Desk | undefined,
  body: NonNullable<ReturnType<typeof parseFlowBody>>,
): Opened | undefined {
  for (const { key } of desk?.keys ?? []) {
    const opened = openFlow(body, key);
    if (desk && opened) return { ...opened, desk };
  }
  return undefined;
}

/** Undefined: the token is one of ours and counts no more, or is another company's. */
function requestOf(
  deps: Deps,
  { companyId, sealer }: Desk,
  { action, version, screen, data, token }: FlowCall & { kind: "screen" },
): FlowRequest | undefined {
  const facts =
    token !== null && isFlowToken(token) ? openFlowToken(sealer, token, deps.clock.now()) : null;
  if (facts === undefined) return undefined;
  return {
    id: `flw_${randomUUID().replaceAll("-", "")}`,
    companyId,
    action,
    version,
    screen,
    data,
    flowToken: token,
    sent: facts && { ...facts, expiresAt: facts.expiresAt.toISOString() },
  };
}

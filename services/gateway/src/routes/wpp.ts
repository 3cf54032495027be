import {
  ManylineError,
  newNumberId,
  newWppSubOrgId,
  numberAdded,
  numberRemoved,
  type WppPlatform,
} from "@manyline/contracts";
import {
  createNumber,
  listNumbers,
  lockPrimaryNumber,
  type NumberRow,
  readWppSession,
  removeNumber,
} from "@manyline/db";
import type { FastifyRequest } from "fastify";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { QueuedCommand } from "../command-runner.ts";
import type { Deps } from "../deps.ts";
import { companyRow, DEFAULT_MAX_NUMBERS, findNumber, numberFacts } from "../numbers.ts";
import { companyWork, type Work } from "../work.ts";
import { changeNumber, refuseBound } from "./numbers.ts";
import { CompanyParams, NumberQuery, problems } from "./schemas.ts";

const NAME = "WhatsApp (WPP)";
const TEXT = { type: ["string", "null"] };

/** What a body means: `server` counts for a number that is made; only the literal `true` counts, and `add_new` before `force_recreate`. */
type Wish = { isNew: boolean; isRecreated: boolean; server: WppPlatform };

/** Each is a line in the log, so that what was done can be told from what was asked. */
const BRANCHES = {
  add: "add_new=true: creating new WhatsApp number",
  recreate: "force_recreate=true: creating new credentials for the existing WhatsApp number",
  reconnect: "reconnecting the existing WhatsApp number",
  first: "no WhatsApp number yet: creating the first one",
} as const;
type Branch = keyof typeof BRANCHES;

type Begun = { command: QueuedCommand; number: NumberRow; branch: Branch; isMade: boolean };

export function registerWpp(app: App, deps: Deps): void {
  // A body that cannot be read is as good as none, here only.
  void app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "string" }, (_request, body, ready) => {
      ready(null, objectIn(String(body)));
    });
    registerRoute(scope, deps);
    done();
  });
}

function registerRoute(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/sessions/:companyId/wpp",
    {
      schema: {
        tags: ["sessions"],
        summary: "Add, reconnect or repair a number of the WPP Platform",
        description:
          'With `{}` the existing number is brought up again, or the first one made; `{"add_new":true}` always makes another number, with a key of its own; `{"force_recreate":true}` gives the existing number new credentials. Only the literal true counts, add_new before force_recreate, and a body that cannot be read is `{}`. A number that is made is at the WPP Platform, or with `"server":"wppconnect"` at the WPPConnect Server. Answers at once: whether somebody has scanned the QR is told by the status and by events.',
        params: CompanyParams,
        querystring: NumberQuery,
        response: {
          200: answerSchema("what has come of it"),
          202: answerSchema("it is under way"),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      reply.header("cache-control", "no-store");
      const { command, number, isMade } = await begin(deps, request, wishOf(request.body));
      const { numberId } = number;
      try {
        const result = await deps.commands.result(command);
        return { success: result["status"] !== "error", numberId, ...answerOf(result) };
      } catch (error) {
        if (!(error instanceof ManylineError)) throw error;
        // It goes on, or is dead and the number can be asked for again; either way the row is there.
        if (error.code === "COMMAND_TIMEOUT") {
          const pending = { session: null, apiKey: null, status: "starting" };
          return reply.code(202).send({ success: true, numberId, ...pending });
        }
        if (isMade && error.code.startsWith("WPP_")) await takeBack(deps, request, number);
        throw error;
      }
    },
  );
}

function answerSchema(description: string): object {
  return {
    description,
    type: "object",
    required: ["success", "numberId", "session", "apiKey", "status"],
    properties: {
      success: { type: "boolean", description: "false: status is error" },
      numberId: { type: "string" },
      session: { ...TEXT, description: "the platform's name of the session; no phone number" },
      apiKey: { ...TEXT, description: "the first 6 and the last 4 characters" },
      status: { enum: ["connected", "starting", "qr_issued", "error"] },
      qrcode: {
        type: "string",
        description: "a data URL, or the text of the QR; where there is one already",
      },
      error: { type: "string" },
    },
  };
}

function answerOf(result: Record<string, unknown>): Record<string, unknown> {
  const { session = null, apiKey = null, status, qrcode, error } = result;
  return {
    session,
    apiKey,
    status,
    ...(qrcode === undefined ? {} : { qrcode }),
    ...(error === undefined ? {} : { error }),
  };
}

function objectIn(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

function wishOf(body: unknown): Wish {
  const {
    add_new: add,
    force_recreate: recreate,
    server,
  } = Object(body) as Record<string, unknown>;
  return {
    isNew: add === true,
    isRecreated: add !== true && recreate === true,
    server: server === "wppconnect" ? "wppconnect" : "wpp_platform",
  };
}

/** The number in question, made if need be, and the command to its owner: all of it, or (without an owner) nothing. */
async function begin(deps: Deps, request: FastifyRequest, wish: Wish): Promise<Begun> {
  const tenant = tenantOf(request);
  const begun = await companyWork(deps, request, async (work): Promise<Begun> => {
    const company = await companyRow(work.tx, tenant);
    if (!company.whatsappEnabled) throw new ManylineError("COMPANY_DISABLED");
    // One after the other: of two requests at once, one makes the number and the other finds it.
    await lockPrimaryNumber(work.tx, tenant.companyNo);
    const existing = wish.isNew ? undefined : await existingNumber(work, request);
    const number =
      existing ??
      (await addNumber(work, request, wish.server, company.whatsappConfig.maxNumbersPerCompany));
    const branch: Branch = wish.isNew
      ? "add"
      : !existing
        ? "first"
        : wish.isRecreated
          ? "recreate"
          : "reconnect";
    const wanted = await changeNumber(work, tenant, number, { desiredState: "connected" });
    work.note("number.wpp_requested", number.numberId, { branch });
    const replaces = await readWppSession(work.tx, tenant.companyNo, number.numberNo);
    const command = await deps.commands.enqueue(work.tx, number, "open_wpp", {
      branch: branch === "first" ? "reconnect" : branch,
      subOrgId: newWppSubOrgId(tenant.companyId),
      replaces,
    });
    return { command, number: wanted, branch, isMade: !existing };
  });
  const { branch, number } = begun;
  const fields = {
    event: "wpp.branch",
    branch,
    company_id: tenant.companyId,
    number_id: number.numberId,
  };
  deps.logger.info({ ...fields, request_id: request.id }, BRANCHES[branch]);
  return begun;
}

/** The number that is named, else the company's primary one at the platform, else its oldest there. */
async function existingNumber(
  { tx }: Work,
  request: FastifyRequest,
): Promise<NumberRow | undefined> {
  const [tenant, principal, wanted] = [tenantOf(request), principalOf(request), request.query];
  const { number } = wanted as { number?: string };
  if (number !== undefined || principal.numberNo !== null) {
    const named = await findNumber(tx, tenant, principal, number);
    if (named?.provider !== "wpp") throw new ManylineError("PROVIDER_NOT_SUPPORTED");
    return named;
  }
  return (await listNumbers(tx, tenant.companyNo)).find(({ provider }) => provider === "wpp");
}

async function addNumber(
  work: Work,
  request: FastifyRequest,
  wppServer: WppPlatform,
  maxNumbers: number = DEFAULT_MAX_NUMBERS,
): Promise<NumberRow> {
  const tenant = tenantOf(request);
  refuseBound(principalOf(request));
  const number = await createNumber(work.tx, tenant.companyNo, {
    numberId: newNumberId(),
    provider: "wpp",
    phone: null,
    name: NAME,
    wppServer,
    maxNumbers,
  });
  work.emit(numberAdded, { ...tenant, number }, numberFacts(number));
  work.note("number.added", number.numberId, { provider: number.provider, by: "wpp" });
  return number;
}

/** The platform has refused for good what the number was made for. */
async function takeBack(deps: Deps, request: FastifyRequest, number: NumberRow): Promise<void> {
  const tenant = tenantOf(request);
  await companyWork(deps, request, async ({ tx, emit, note }) => {
    const { removed } = await removeNumber(tx, tenant.companyNo, number.numberNo);
    if (!removed) return;
    emit(numberRemoved, { ...tenant, number }, numberFacts(number));
    note("number.removed", number.numberId, { by: "wpp" });
  });
}

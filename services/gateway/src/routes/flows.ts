/** Which flow stands behind a name, and who fills the screens. */
import { FlowNameField, ManylineError, SetFlow, SetFlowHandler } from "@manyline/contracts";
import { newWebhookSecret } from "@manyline/contracts/webhooks";
import {
  type FlowRow,
  listSharedFlows,
  listTenantFlows,
  putFlowHandler,
  putSharedFlow,
  putTenantFlow,
  readFlowHandler,
  removeFlowHandler,
  removeSharedFlow,
  removeTenantFlow,
  withCompany,
} from "@manyline/db";
import { FetchRefused, judgeUrl } from "@manyline/runtime";
import { Type, type Static } from "typebox";
import type { App } from "../app.ts";
import { tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { companyWork, operatorWork } from "../work.ts";
import { CompanyParams, problems, ref } from "./schemas.ts";

const SHARED = "/api/whatsapp/flows";
const COMPANY = "/api/whatsapp/companies/:companyId";
const tags = ["flows"];
const success = { success: true as const };
const Done = Type.Object({ success: Type.Literal(true) });
const FlowAnswer = Type.Object({ success: Type.Literal(true), flow: Type.Unsafe(ref("Flow")) });
const FlowList = Type.Object({
  success: Type.Literal(true),
  flows: Type.Array(Type.Unsafe(ref("Flow"))),
});
const NameParams = Type.Object({ name: FlowNameField });
const CompanyNameParams = Type.Object({ ...CompanyParams.properties, name: FlowNameField });
const HandlerAnswer = Type.Object({
  success: Type.Literal(true),
  kind: Type.String({ description: "nats or https" }),
  url: Type.Union([Type.String(), Type.Null()]),
});

const flowOf = (name: string, body: Static<typeof SetFlow>): FlowRow => ({
  name,
  flowId: body.flowId,
  action: body.action ?? "data_exchange",
  screen: body.screen ?? null,
});

export function registerFlows(app: App, deps: Deps): void {
  registerShared(app, deps);
  registerOwn(app, deps);
  registerHandler(app, deps);
}

function registerShared(app: App, deps: Deps): void {
  app.get(
    SHARED,
    { schema: { tags, summary: "The flows of all", response: { 200: FlowList, ...problems } } },
    async () => ({ ...success, flows: await listSharedFlows(deps.platformDb) }),
  );
  app.put(
    `${SHARED}/:name`,
    {
      schema: {
        tags,
        summary: "Say which flow stands behind a name, for companies without one of their own",
        params: NameParams,
        body: SetFlow,
        response: { 200: FlowAnswer, ...problems },
      },
    },
    async (request) => {
      const flow = flowOf(request.params.name, request.body);
      await operatorWork(deps, request, async ({ tx, note }) => {
        await putSharedFlow(tx, flow);
        note("flow.shared", flow.name, { flowId: flow.flowId });
      });
      return { ...success, flow };
    },
  );
  app.delete(
    `${SHARED}/:name`,
    {
      schema: {
        tags,
        summary: "No flow of all has this name any more",
        params: NameParams,
        response: { 200: Done, ...problems },
      },
    },
    async (request) => {
      const { name } = request.params;
      await operatorWork(deps, request, async ({ tx, note }) => {
        if (!(await removeSharedFlow(tx, name))) throw new ManylineError("FLOW_NOT_FOUND");
        note("flow.unshared", name);
      });
      return success;
    },
  );
}

function registerOwn(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/flows`,
    {
      schema: {
        tags,
        summary: "The company's own flows",
        params: CompanyParams,
        response: { 200: FlowList, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const flows = await withCompany(deps.appDb, companyNo, (tx) =>
        listTenantFlows(tx, companyNo),
      );
      return { ...success, flows };
    },
  );
  app.put(
    `${COMPANY}/flows/:name`,
    {
      schema: {
        tags,
        summary: "Say which flow stands behind a name, for this company; `default` is sent unnamed",
        params: CompanyNameParams,
        body: SetFlow,
        response: { 200: FlowAnswer, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const flow = flowOf(request.params.name, request.body);
      await companyWork(deps, request, async ({ tx, note }) => {
        await putTenantFlow(tx, companyNo, flow);
        note("flow.set", flow.name, { flowId: flow.flowId });
      });
      return { ...success, flow };
    },
  );
  app.delete(
    `${COMPANY}/flows/:name`,
    {
      schema: {
        tags,
        summary: "The company has no flow of its own of this name any more",
        params: CompanyNameParams,
        response: { 200: Done, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const { name } = request.params;
      await companyWork(deps, request, async ({ tx, note }) => {
        if (!(await removeTenantFlow(tx, companyNo, name)))
          throw new ManylineError("FLOW_NOT_FOUND");
        note("flow.removed", name);
      });
      return success;
    },
  );
}

function registerHandler(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/flow-handler`,
    {
      schema: {
        tags,
        summary: "Who fills the screens of the company's flows; NATS unless set",
        params: CompanyParams,
        response: { 200: HandlerAnswer, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const found = await withCompany(deps.appDb, companyNo, (tx) =>
        readFlowHandler(tx, companyNo),
      );
      return { ...success, ...(found ?? { kind: "nats" as const, url: null }) };
    },
  );
  app.put(
    `${COMPANY}/flow-handler`,
    {
      schema: {
        tags,
        summary:
          "Set who fills the screens; for an address the secret of its signatures is shown once",
        params: CompanyParams,
        body: SetFlowHandler,
        response: {
          200: Type.Object({
            ...HandlerAnswer.properties,
            secret: Type.Union([
              Type.String({ description: "whsec_…; requests are signed as Standard Webhooks" }),
              Type.Null(),
            ]),
          }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      const { body } = request;
      if (body.kind === "https") await judge(deps, body.url);
      const secret = body.kind === "https" ? newWebhookSecret() : null;
      const url = body.kind === "https" ? body.url : null;
      await companyWork(deps, request, async ({ tx, note }) => {
        const handler =
          url === null || secret === null
            ? { kind: "nats" as const }
            : { kind: "https" as const, url, secret };
        await putFlowHandler(tx, deps.keyring, companyNo, handler);
        note("flow_handler.set", companyId, { kind: body.kind });
      });
      return { ...success, kind: body.kind, url, secret };
    },
  );
  app.delete(
    `${COMPANY}/flow-handler`,
    {
      schema: {
        tags,
        summary: "Back to NATS",
        params: CompanyParams,
        response: { 200: Done, ...problems },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      await companyWork(deps, request, async ({ tx, note }) => {
        if (await removeFlowHandler(tx, companyNo)) note("flow_handler.removed", companyId);
      });
      return success;
    },
  );
}

const REFUSED: Partial<Record<FetchRefused["reason"], string>> = {
  bad_url: "The address must be https, without user and password.",
  address: "The address leads to a private network.",
  unreachable: "The name of the address is not known.",
};

async function judge(deps: Deps, url: string): Promise<void> {
  try {
    await judgeUrl(url, deps.handlerGuard);
  } catch (error) {
    if (!(error instanceof FetchRefused)) throw error;
    const detail = REFUSED[error.reason];
    throw new ManylineError("HANDLER_REFUSED", {
      reason: error.reason,
      ...(detail === undefined ? {} : { detail }),
    });
  }
}

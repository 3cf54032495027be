import { putMetaApp, removeMetaApp } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { companyWork } from "../work.ts";
import { CompanyParams, problems } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";
const tags = ["companies"];
const Secret = Type.String({ minLength: 8, maxLength: 256, pattern: "^[\\x21-\\x7e]+$" });

const Body = Type.Object(
  {
    appId: Type.Optional(Type.String({ pattern: "^[0-9]{1,32}$" })),
    appSecret: Secret,
    verifyToken: Secret,
  },
  { additionalProperties: false },
);
const Answer = Type.Object({
  success: Type.Literal(true),
  webhookPath: Type.String({ description: "of webhook-ingest; what Meta's app is to call" }),
});

/** A company's own Meta app. Its secret goes in and never comes out. */
export function registerMetaApp(app: App, deps: Deps): void {
  app.put(
    `${COMPANY}/meta-app`,
    {
      schema: {
        tags,
        summary: "Set the company's own Meta app; a former secret counts for a day longer",
        params: CompanyParams,
        body: Body,
        response: { 200: Answer, ...problems },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      const { appId = null, appSecret, verifyToken } = request.body;
      await companyWork(deps, request, async ({ tx, note }) => {
        await putMetaApp(tx, deps.keyring, companyNo, { appId, appSecret, verifyToken });
        note("meta_app.set", companyId, { appId });
      });
      return { success: true as const, webhookPath: `/webhooks/meta/${companyId}` };
    },
  );

  app.delete(
    `${COMPANY}/meta-app`,
    {
      schema: {
        tags,
        summary: "The company has no Meta app of its own any more",
        params: CompanyParams,
        response: {
          200: Type.Object({ success: Type.Literal(true), removed: Type.Boolean() }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      const removed = await companyWork(deps, request, async ({ tx, note }) => {
        const isRemoved = await removeMetaApp(tx, companyNo);
        if (isRemoved) note("meta_app.removed", companyId);
        return isRemoved;
      });
      return { success: true as const, removed };
    },
  );
}

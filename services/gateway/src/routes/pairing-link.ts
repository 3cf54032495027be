import { PAIRING_LINK_MS, PAIRING_LINK_SCOPES } from "@manyline/contracts";
import { createToken } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { findOrCreateNumber } from "../numbers.ts";
import { companyWork } from "../work.ts";
import { CompanyParams, NumberQuery, problems } from "./schemas.ts";

export function registerPairingLink(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/sessions/:companyId/pairing-link",
    {
      schema: {
        tags: ["sessions"],
        summary: "Make a link to the pairing page: one number, one use, 10 minutes",
        params: CompanyParams,
        querystring: NumberQuery,
        body: Type.Object(
          { number: Type.Optional(Type.String({ description: "num_…; same as ?number=" })) },
          { additionalProperties: false },
        ),
        response: {
          200: {
            type: "object",
            required: ["success", "url", "expiresAt"],
            properties: {
              success: { const: true },
              url: {
                type: "string",
                description: "the secret is behind the #, which stays in the browser",
              },
              expiresAt: { type: "string", format: "date-time" },
            },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const wanted = request.body.number ?? request.query.number;
      const link = await companyWork(deps, request, async (work) => {
        const number = await findOrCreateNumber(work, tenant, principalOf(request), wanted);
        const token = await createToken(work.tx, {
          companyNo: tenant.companyNo,
          numberNo: number.numberNo,
          name: "pairing page",
          scopes: PAIRING_LINK_SCOPES,
          kind: "link",
          ttlMs: PAIRING_LINK_MS,
        });
        work.note("pairing.link_created", number.numberId, { tokenId: token.tokenId });
        return token;
      });
      const page = `${deps.config.http.publicUrl}/whatsapp-pairing.html`;
      const url = `${page}?company=${encodeURIComponent(tenant.companyId)}#${link.secret}`;
      reply.header("cache-control", "no-store");
      return { success: true, url, expiresAt: link.expiresAt?.toISOString() };
    },
  );
}

/** A company's API tokens, for the operator. A secret is in the answer that makes it and nowhere else. */
import { COMPANY_SCOPES, ManylineError } from "@manyline/contracts";
import { createToken, listTokens, revokeToken, type TokenRow } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { operatorWork } from "../work.ts";
import { CompanyParams, problems } from "./schemas.ts";

const BASE = "/api/whatsapp/companies/:companyId";
const TOKEN_ID = "^[0-9a-f]{16}$";
const tags = ["companies"];

const TokenSchema = {
  type: "object",
  required: ["id", "name", "kind", "scopes", "expiresAt", "createdAt"],
  properties: {
    id: { type: "string" },
    name: { type: "string" },
    kind: { enum: ["api", "link", "cookie"] },
    scopes: { type: "array", items: { type: "string" } },
    expiresAt: { type: ["string", "null"], format: "date-time" },
    createdAt: { type: "string", format: "date-time" },
  },
};

export function registerTokens(app: App, deps: Deps): void {
  app.get(
    `${BASE}/tokens`,
    {
      schema: {
        tags,
        summary: "List a company's tokens that work now",
        params: CompanyParams,
        response: {
          200: {
            type: "object",
            required: ["success", "tokens"],
            properties: {
              success: { const: true },
              tokens: { type: "array", items: TokenSchema },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      return {
        success: true,
        tokens: (await listTokens(deps.platformDb, companyNo)).map(answerOf),
      };
    },
  );

  app.post(
    `${BASE}/tokens`,
    {
      schema: {
        tags,
        summary: "Make a token for a company",
        params: CompanyParams,
        body: Type.Object(
          {
            name: Type.String({ minLength: 1, maxLength: 100, pattern: "^[^\\p{Cc}\\p{Cs}]+$" }),
            scopes: Type.Optional(
              Type.Array(Type.Enum([...COMPANY_SCOPES]), {
                minItems: 1,
                uniqueItems: true,
                description: "all of them unless said",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          201: {
            type: "object",
            required: ["success", "id", "token"],
            properties: {
              success: { const: true },
              id: { type: "string" },
              token: { type: "string", description: "shown this once" },
            },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { companyNo, companyId } = tenantOf(request);
      const { name, scopes = COMPANY_SCOPES } = request.body;
      const made = await operatorWork(deps, request, async ({ tx, note }) => {
        const input = { companyNo, name, scopes, kind: "api" } as const;
        const token = await createToken(tx, input);
        note("token.created", companyId, { tokenId: token.tokenId, scopes: [...input.scopes] });
        return token;
      });
      reply.header("cache-control", "no-store");
      return reply.code(201).send({ success: true, id: made.tokenId, token: made.secret });
    },
  );

  app.delete(
    `${BASE}/tokens/:tokenId`,
    {
      schema: {
        tags,
        summary: "End a token at once",
        params: Type.Object({
          ...CompanyParams.properties,
          tokenId: Type.String({ pattern: TOKEN_ID }),
        }),
        response: {
          200: {
            type: "object",
            required: ["success"],
            properties: { success: { const: true } },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      const { tokenId } = request.params;
      await operatorWork(deps, request, async ({ tx, note }) => {
        if (!(await revokeToken(tx, companyNo, tokenId))) throw new ManylineError("NOT_FOUND");
        note("token.revoked", companyId, { tokenId });
      });
      return { success: true };
    },
  );
}

function answerOf({ tokenId, name, kind, scopes, expiresAt, createdAt }: TokenRow): object {
  return {
    id: tokenId,
    name,
    kind,
    scopes,
    expiresAt: expiresAt && expiresAt.toISOString(),
    createdAt: createdAt.toISOString(),
  };
}

import {
  COMPANY_SCOPES,
  ChangeCompany,
  CreateCompany,
  ManylineError,
  companyCreated,
  companyRemoved,
  companyUpdated,
  LEASE_POKE,
  shardPoke,
} from "@manyline/contracts";
import {
  createCompany,
  createToken,
  deleteCompany,
  getPrimaryNumber,
  listCompanies,
  listNumbers,
  updateCompany,
  withCompany,
} from "@manyline/db";
import type { CompanyPatch } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { isOperator, principalOf, tenantOf } from "../auth.ts";
import { badId, companyFacts, inputOf, patchOf, subjectOf } from "../company-input.ts";
import type { Deps } from "../deps.ts";
import { companyAnswer } from "../domain/answers.ts";
import { changedFields } from "../domain/changes.ts";
import { logOut } from "../log-out.ts";
import { companyRow } from "../numbers.ts";
import { companyWork, operatorWork } from "../work.ts";
import { CompanyParams, problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["companies"];

const CompanyAnswer = {
  type: "object",
  required: ["success", "company"],
  properties: { success: { const: true }, company: ref("Company") },
};

export function registerCompanies(app: App, deps: Deps): void {
  app.post(
    `${BASE}/companies`,
    {
      schema: {
        tags,
        summary: "Create a company; its token is shown here and never again",
        body: CreateCompany,
        response: {
          201: {
            type: "object",
            required: ["success", "company", "token"],
            properties: {
              success: { const: true },
              company: ref("Company"),
              token: { type: "string", description: "scopes read, pair, send, manage" },
            },
          },
          ...problems,
        },
      },
      preValidation: (request, _reply, done) => done(badId(request.body)),
    },
    async (request, reply) => {
      const input = inputOf(request.body);
      const { company, secret } = await operatorWork(deps, request, async ({ tx, emit, note }) => {
        const row = await createCompany(tx, deps.keyring, input);
        const token = await createToken(tx, {
          companyNo: row.companyNo,
          name: "first",
          scopes: COMPANY_SCOPES,
          kind: "api",
        });
        emit(companyCreated, subjectOf(row), companyFacts(row));
        note("company.created", row.companyId, { tokenId: token.tokenId });
        return { company: row, secret: token.secret };
      });
      // It may be the first of a new shard, which somebody should own before the first request comes.
      deps.bus.poke(LEASE_POKE);
      return reply
        .code(201)
        .header("location", `${BASE}/companies/${company.companyId}`)
        .header("cache-control", "no-store")
        .send({ success: true, company: companyAnswer(company), token: secret });
    },
  );

  app.get(
    `${BASE}/companies`,
    {
      schema: {
        tags,
        summary: "List companies in the order of their creation",
        querystring: Type.Object(
          {
            after: Type.Optional(
              Type.String({
                pattern: "^[1-9][0-9]{0,8}$",
                description: "`next` of the page before",
              }),
            ),
            limit: Type.Optional(
              Type.String({
                pattern: "^([1-9][0-9]?|[1-4][0-9]{2}|500)$",
                description: "1 to 500, default 100",
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: {
            type: "object",
            required: ["success", "companies", "next"],
            properties: {
              success: { const: true },
              companies: { type: "array", items: ref("Company") },
              next: { type: ["string", "null"], description: "null: this was the last page" },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const limit = Math.min(500, Number(request.query.limit ?? 100));
      const after = request.query.after === undefined ? undefined : Number(request.query.after);
      const rows = await listCompanies(deps.platformDb, { after, limit: limit + 1 });
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? String(page.at(-1)?.companyNo) : null;
      return { success: true, companies: page.map(companyAnswer), next };
    },
  );

  app.get(
    `${BASE}/companies/:companyId`,
    {
      schema: {
        tags,
        summary: "Read a company",
        params: CompanyParams,
        response: { 200: CompanyAnswer, ...problems },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const row = await withCompany(deps.appDb, tenant.companyNo, (tx) => companyRow(tx, tenant));
      return { success: true, company: companyAnswer(row) };
    },
  );

  app.patch(
    `${BASE}/companies/:companyId`,
    {
      schema: {
        tags,
        summary: "Change a company; whatsappConfig is merged key by key",
        params: CompanyParams,
        body: ChangeCompany,
        response: { 200: CompanyAnswer, ...problems },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const byOperator = isOperator(principalOf(request));
      const { row, shardId } = await companyWork(deps, request, async ({ tx, emit, note }) => {
        const before = await companyRow(tx, tenant);
        const patch = patchOf(before, request.body);
        const limit = patch.whatsappConfig?.maxNumbersPerCompany;
        if (
          !byOperator &&
          limit !== before.whatsappConfig.maxNumbersPerCompany &&
          limit !== undefined
        ) {
          throw new ManylineError("FORBIDDEN", {
            detail: "maxNumbersPerCompany is set by the operator.",
          });
        }
        const changed = changedFields<CompanyPatch>(before, patch);
        if (changed.length === 0) return { row: before };
        const after = await updateCompany(tx, tenant.companyNo, patch);
        if (!after) throw new ManylineError("COMPANY_NOT_FOUND");
        emit(companyUpdated, subjectOf(after), { ...companyFacts(after), changed });
        note("company.updated", after.companyId, { changed });
        const primary = await getPrimaryNumber(tx, tenant.companyNo);
        return { row: after, shardId: primary?.shardId };
      });
      if (shardId !== undefined) deps.bus.poke(shardPoke(shardId));
      return { success: true, company: companyAnswer(row) };
    },
  );

  app.delete(
    `${BASE}/companies/:companyId`,
    {
      schema: {
        tags,
        summary: "Delete a company with its numbers, keys, tokens and events",
        params: CompanyParams,
        response: {
          200: {
            type: "object",
            required: ["success", "companyId", "stillListed"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              stillListed: {
                type: "array",
                items: { type: "string" },
                description:
                  "linked numbers WhatsApp could not be told about: remove the device on these phones",
              },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo, companyId } = tenantOf(request);
      const numbers = await withCompany(deps.appDb, companyNo, (tx) => listNumbers(tx, companyNo));
      const linked = numbers.filter(({ isLinked }) => isLinked);
      const told = await logOut(deps, linked);
      const stillListed = linked
        .filter(({ numberNo }) => !told.has(numberNo))
        .map(({ phone, numberId }) => phone ?? numberId);
      const shardId = await operatorWork(deps, request, async ({ tx, emit, note }) => {
        const primary = await getPrimaryNumber(tx, companyNo);
        if (!(await deleteCompany(tx, companyNo))) throw new ManylineError("COMPANY_NOT_FOUND");
        emit(companyRemoved, { companyNo, companyId }, { id: companyId });
        note("company.removed", companyId, { linked: linked.length, loggedOut: told.size });
        return primary?.shardId;
      });
      // The owner sees that the numbers are gone and closes their connections.
      if (shardId !== undefined) deps.bus.poke(shardPoke(shardId));
      return { success: true, companyId, stillListed };
    },
  );
}

/** The two ways a person ends something: unlink a number, cancel a pairing attempt. */
import { liveAttempt } from "@manyline/db";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { findNumber } from "../numbers.ts";
import { companyWork } from "../work.ts";
import { CompanyParams, Nothing, NumberQuery, problems } from "./schemas.ts";

const SESSION = "/api/whatsapp/sessions/:companyId";
const tags = ["sessions"];

export function registerEnding(app: App, deps: Deps): void {
  app.post(
    `${SESSION}/cleanup`,
    {
      schema: {
        tags,
        summary: "Unlink: log out at WhatsApp, erase the credentials, end a live attempt",
        params: CompanyParams,
        querystring: NumberQuery,
        body: Nothing,
        response: {
          200: {
            type: "object",
            required: ["success", "companyId", "wasLinked", "told"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              wasLinked: { type: "boolean" },
              told: {
                type: "boolean",
                description: "false: WhatsApp did not confirm; remove the device on the phone",
              },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const command = await companyWork(deps, request, async (work) => {
        const { tx } = work;
        const number = await findNumber(tx, tenant, principalOf(request), request.query.number);
        if (!number) return undefined;
        const attempt = await liveAttempt(tx, tenant.companyNo, number.numberNo);
        // Nothing to end needs no owner: the answer is the same while no worker is there.
        if (!number.isLinked && !attempt) return undefined;
        work.note("number.unlinked", number.numberId);
        return deps.commands.enqueue(tx, number, "unlink", {});
      });
      const result = command ? await deps.commands.result(command) : {};
      const { companyId } = tenant;
      const wasLinked = "wasLinked" in result && result["wasLinked"] === true;
      return {
        success: true,
        companyId,
        wasLinked,
        told: "told" in result && result["told"] === true,
      };
    },
  );

  app.post(
    `${SESSION}/cancel-pairing`,
    {
      schema: {
        tags,
        summary: "End the live pairing attempt, if any",
        params: CompanyParams,
        querystring: NumberQuery,
        body: Nothing,
        response: {
          200: {
            type: "object",
            required: ["success", "companyId", "cancelled"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              cancelled: { type: "boolean" },
            },
          },
          ...problems,
        },
      },
    },
    async (request) => {
      const tenant = tenantOf(request);
      const command = await companyWork(deps, request, async (work) => {
        const { tx } = work;
        const number = await findNumber(tx, tenant, principalOf(request), request.query.number);
        const attempt = number && (await liveAttempt(tx, tenant.companyNo, number.numberNo));
        if (!number || !attempt) return undefined;
        work.note("pairing.cancelled", number.numberId, { attemptId: attempt.attemptId });
        return deps.commands.enqueue(tx, number, "cancel_pairing", {});
      });
      if (command) await deps.commands.result(command);
      return { success: true, companyId: tenant.companyId, cancelled: command !== undefined };
    },
  );
}

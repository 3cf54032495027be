import { withCompany } from "@manyline/db";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { statusAnswer, statusWithoutNumber } from "../domain/answers.ts";
import { companyRow, findNumber } from "../numbers.ts";
import { statusRow } from "../pairing.ts";
import { watchNumber } from "../watch.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

export function registerStatus(app: App, deps: Deps): void {
  app.get(
    "/api/whatsapp/sessions/:companyId/status",
    {
      schema: {
        tags: ["sessions"],
        summary: "Status of a number, derived at the time of reading",
        description: "Looking keeps a pairing attempt alive for 30 seconds.",
        params: CompanyParams,
        querystring: NumberQuery,
        response: { 200: ref("StatusAnswer"), ...problems },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      reply.header("cache-control", "no-store");
      return withCompany(deps.appDb, tenant.companyNo, async (tx) => {
        const number = await findNumber(tx, tenant, principalOf(request), request.query.number);
        if (!number) return statusWithoutNumber(await companyRow(tx, tenant), deps.clock.now());
        await watchNumber(tx, deps.clock, number);
        return statusAnswer(await statusRow(tx, number));
      });
    },
  );
}

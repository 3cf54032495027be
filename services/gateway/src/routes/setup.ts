import { ManylineError, parseNumberId } from "@manyline/contracts";
import type { SetupAnswer, SetupCheck } from "@manyline/contracts";
import { getNumber, withCompany } from "@manyline/db";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { NumberParams, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";

export function registerSetup(app: App, deps: Deps): void {
  app.post(
    `${COMPANY}/numbers/:numberId/check`,
    {
      schema: {
        tags: ["numbers"],
        summary: "Ask Meta, step by step, whether the number is set up; each with what to do",
        params: NumberParams,
        response: { 200: ref("SetupAnswer"), ...problems },
      },
    },
    async (request): Promise<SetupAnswer> => {
      const { companyNo } = tenantOf(request);
      const { numberNo: bound } = principalOf(request);
      const numberId = parseNumberId(request.params.numberId);
      const command = await withCompany(deps.appDb, companyNo, async (tx) => {
        const number = numberId && (await getNumber(tx, companyNo, numberId));
        if (!number || (bound !== null && bound !== number.numberNo)) {
          throw new ManylineError("NUMBER_NOT_FOUND");
        }
        if (number.provider !== "meta") throw new ManylineError("PROVIDER_NOT_SUPPORTED");
        return deps.commands.enqueue(tx, number, "check_number", {});
      });
      const { checks } = await deps.commands.result(command);
      if (!Array.isArray(checks)) throw new ManylineError("INTERNAL");
      const found = checks as SetupCheck[];
      return {
        success: true,
        isReady: found.every(({ state }) => state !== "failed"),
        checks: found,
      };
    },
  );
}

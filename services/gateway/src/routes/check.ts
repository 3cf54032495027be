import { CheckPhones } from "@manyline/contracts";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { checkPhones } from "../sends/signals.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

const SESSION = "/api/whatsapp/sessions/:companyId";

export function registerCheck(app: App, deps: Deps): void {
  app.post(
    `${SESSION}/check`,
    {
      schema: {
        tags: ["messages"],
        summary: "Ask WhatsApp which phone numbers have an account",
        description:
          "Answered in the order asked; what is no phone number has `phone` null. The number must be connected. Ask for those you write to: WhatsApp watches who asks for many.",
        params: CompanyParams,
        querystring: NumberQuery,
        body: CheckPhones,
        response: { 200: ref("CheckAnswer"), ...problems },
      },
    },
    async (request) => {
      const caller = {
        tenant: tenantOf(request),
        principal: principalOf(request),
        wanted: request.query.number,
      };
      return { success: true, results: await checkPhones(deps, caller, request.body.phones) };
    },
  );
}

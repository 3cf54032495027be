import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { askForCode } from "../pairing.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

/** Any form a person types; a bare number is forgiven. Judged by parsePhone, so no pattern here. */
export const PhoneNumberField = Type.Optional(
  Type.Union([Type.String(), Type.Integer(), Type.Null()], {
    description: "with country code, e.g. 79001234567; without it the stored phone",
  }),
);

export function registerPairingCode(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/sessions/:companyId/pairing-code",
    {
      schema: {
        tags: ["sessions"],
        summary: "Ask WhatsApp for a pairing code and wait for it, at most 25 seconds",
        description:
          "Joins the live attempt when it shows a code for the same phone. Five codes an hour for a company; the sixth request starts a pause of 30 minutes (429 RATE_LIMITED, Retry-After).",
        params: CompanyParams,
        querystring: NumberQuery,
        body: Type.Object({ phoneNumber: PhoneNumberField }, { additionalProperties: false }),
        response: { 200: ref("PairingCodeAnswer"), ...problems },
      },
    },
    async (request, reply) => {
      reply.header("cache-control", "no-store");
      return askForCode(deps, request, request.query.number, request.body.phoneNumber);
    },
  );
}

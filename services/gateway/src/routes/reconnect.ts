import { ManylineError } from "@manyline/contracts";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { askForCode, numberToPair, wishConnected } from "../pairing.ts";
import { companyWork } from "../work.ts";
import { PhoneNumberField } from "./pairing-code.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

export function registerReconnect(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/sessions/:companyId/reconnect",
    {
      schema: {
        tags: ["sessions"],
        summary: "Connect a number again, or start linking it",
        description:
          "With stored credentials the connection is opened anew. Without, a QR attempt starts or the live one is joined; with usePairingCode it is a code attempt, answered like pairing-code.",
        params: CompanyParams,
        querystring: NumberQuery,
        body: Type.Object(
          { usePairingCode: Type.Optional(Type.Boolean()), phoneNumber: PhoneNumberField },
          { additionalProperties: false },
        ),
        response: {
          200: ref("PairingCodeAnswer"),
          202: {
            type: "object",
            required: ["success", "companyId", "attemptId", "status"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              attemptId: {
                type: ["string", "null"],
                description: "the QR attempt; null when a linked number reconnects",
              },
              status: { const: "connecting" },
            },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { usePairingCode = false, phoneNumber } = request.body;
      if (usePairingCode) {
        reply.header("cache-control", "no-store");
        return askForCode(deps, request, request.query.number, phoneNumber);
      }
      const command = await companyWork(deps, request, async (work) => {
        const { number } = await numberToPair(work, request, request.query.number, {
          atServer: true,
        });
        await wishConnected(work, request, number);
        work.note("session.reconnect_requested", number.numberId);
        const verb = number.isLinked ? "reconnect" : "pair_qr";
        return deps.commands.enqueue(work.tx, number, verb, {});
      });
      const result = await deps.commands.result(command);
      const attemptId = typeof result["attemptId"] === "string" ? result["attemptId"] : null;
      if (command.verb === "pair_qr" && attemptId === null) throw new ManylineError("INTERNAL");
      const { companyId } = tenantOf(request);
      return reply.code(202).send({ success: true, companyId, attemptId, status: "connecting" });
    },
  );
}

import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { isSignal, sendBody } from "../sends/send-body.ts";
import { sendMessage } from "../sends/sender.ts";
import { signal } from "../sends/signals.ts";
import { validatorCompiler } from "../validation.ts";
import { CompanyParams, NumberQuery, problems, ref } from "./schemas.ts";

export function registerSend(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/sessions/:companyId/messages",
    {
      // What is wrong with a body its own kind says: see sendBody.
      validatorCompiler: (route) =>
        route.httpPart === "body" ? (value: unknown) => ({ value }) : validatorCompiler(route),
      schema: {
        tags: ["messages"],
        summary: "Send a message, react, edit, delete, mark as read, show typing",
        description:
          "The message is stored and answered with 202; its owner sends it in its turn, in order within its chat. What became of it is told by events, and by GET …/messages/:messageId. While the number is not connected it waits, until it expires. " +
          "With an Idempotency-Key the same request, repeated within 9 days, is answered with the same message; another request with that key gets 409. " +
          "A file is named by `mediaId` (uploaded before, or of another message) or by `url`, which is fetched and checked before anything is queued. " +
          "`reaction`, `edit` and `delete` wait in the queue of their chat like messages. `read` and `typing` are done at once and answered with 200, or refused.",
        params: CompanyParams,
        querystring: NumberQuery,
        headers: Type.Object({
          "idempotency-key": Type.Optional(
            Type.String({
              pattern: "^[\\x21-\\x7e]{1,255}$",
              description: "unique for each message of the company, e.g. a UUID",
            }),
          ),
        }),
        body: ref("SendMessage"),
        response: { 200: ref("SignalAnswer"), 202: ref("SendAnswer"), ...problems },
      },
    },
    async (request, reply) => {
      const tenant = tenantOf(request);
      const caller = { tenant, principal: principalOf(request), wanted: request.query.number };
      const body = sendBody(request.body);
      if (isSignal(body)) {
        await signal(deps, caller, body);
        return { success: true };
      }
      const key = request.headers["idempotency-key"];
      const { message, isRepeated } = await sendMessage(deps, { ...caller, body, key });
      const { messageId, status } = message;
      return reply
        .code(202)
        .header("location", `/api/whatsapp/sessions/${tenant.companyId}/messages/${messageId}`)
        .send({ success: true, messageId, status, isRepeated, message });
    },
  );
}

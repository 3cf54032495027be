import { ManylineError, PAIRING_COOKIE_MS } from "@manyline/contracts";
import { audit, exchangeLink, inTransaction } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { assertSameOrigin, pairingCookie } from "../cookie.ts";
import type { Deps } from "../deps.ts";
import { problems } from "./schemas.ts";

/** Every refusal takes this long, so that its time tells nothing about the reason. */
const REFUSAL_MS = 150;

export function registerLinkExchange(app: App, deps: Deps): void {
  app.post(
    "/api/whatsapp/link-exchange",
    {
      schema: {
        tags: ["sessions"],
        summary:
          "Exchange the secret of a pairing link for a cookie: once, or, if it came by mail, ten times until the number is linked",
        description:
          "Expired, used, foreign and unknown links are all 401 LINK_INVALID and take the same time.",
        body: Type.Object(
          { token: Type.Optional(Type.Unknown()) },
          { additionalProperties: false },
        ),
        response: {
          200: {
            type: "object",
            required: ["success", "companyId", "numberId", "expiresAt"],
            properties: {
              success: { const: true },
              companyId: { type: "string" },
              numberId: { type: "string" },
              expiresAt: { type: "string", format: "date-time" },
            },
          },
          ...problems,
        },
      },
    },
    async (request, reply) => {
      assertSameOrigin(request, deps.config.http);
      const startedAt = deps.clock.monotonic();
      const secret = typeof request.body.token === "string" ? request.body.token : "";
      await deps.limiter.beforeLogin(request.ip, secret);
      const cookie = await inTransaction(deps.platformDb, async (tx) => {
        const found = await exchangeLink(tx, secret, PAIRING_COOKIE_MS);
        if (found) {
          const { companyNo, numberId } = found;
          const requestId = request.id;
          const action = "pairing.link_exchanged";
          await audit(tx, { companyNo, actor: "page", action, target: numberId, requestId });
        }
        return found;
      });
      deps.reports.linkExchanged(cookie !== undefined);
      reply.header("cache-control", "no-store");
      if (!cookie) {
        await deps.limiter.loginFailed(request.ip, secret);
        await deps.clock.sleep(Math.max(0, startedAt + REFUSAL_MS - deps.clock.monotonic()));
        throw new ManylineError("LINK_INVALID");
      }
      const { companyId, numberId, expiresAt } = cookie;
      reply.header(
        "set-cookie",
        pairingCookie(cookie.secret, expiresAt, deps.config.http.publicUrl),
      );
      return { success: true, companyId, numberId, expiresAt: expiresAt.toISOString() };
    },
  );
}

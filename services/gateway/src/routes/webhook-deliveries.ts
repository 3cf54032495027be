/** What became of the deliveries of a webhook, and having them again. */
import { DELIVERY_STATES, ManylineError, ReplayWebhook } from "@manyline/contracts";
import { WEBHOOK_FIGURES } from "@manyline/contracts/webhooks";
import { listDeliveries, replayDeliveries, replayRange, withCompany } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { deliveryOf, mayHave } from "../domain/webhooks.ts";
import { invalidRequest } from "../problem.ts";
import { companyWork } from "../work.ts";
import { envelope, LimitField, limitOf, listOf, Next } from "./operator-schemas.ts";
import { Nothing, problems, ref } from "./schemas.ts";
import { subscriptionOf, WEBHOOK, WebhookParams } from "./webhooks.ts";

const tags = ["webhooks"];
const success = { success: true as const };
const count = (description: string) => ({ type: "integer", minimum: 0, description });

export function registerWebhookDeliveries(app: App, deps: Deps): void {
  app.get(
    `${WEBHOOK}/deliveries`,
    {
      schema: {
        tags,
        summary: "The webhook's deliveries of 8 days, the newest first",
        params: WebhookParams,
        querystring: Type.Object(
          {
            state: Type.Optional(Type.Enum([...DELIVERY_STATES])),
            before: Type.Optional(Type.String({ description: "`next` of the page before" })),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: {
          200: envelope({ deliveries: listOf(ref("WebhookDelivery")), next: Next }),
          ...problems,
        },
      },
    },
    async (request) => {
      mayHave(principalOf(request), []);
      const { companyNo } = tenantOf(request);
      const { state, before } = request.query;
      const limit = limitOf(request.query.limit);
      if (before !== undefined && !/^[1-9][0-9]{0,14}$/.test(before)) {
        throw invalidRequest({ field: "before", message: "must be `next` of a page" });
      }
      const rows = await withCompany(deps.appDb, companyNo, async (tx) => {
        const { subscriptionId } = await subscriptionOf(tx, companyNo, request.params.webhookId);
        return listDeliveries(
          tx,
          { companyNo, subscriptionId },
          { state, limit: limit + 1, before: before === undefined ? undefined : Number(before) },
        );
      });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const next = rows.length > limit && last ? String(last.deliveryNo) : null;
      return { ...success, deliveries: page.map(deliveryOf), next };
    },
  );

  app.post(
    `${WEBHOOK}/deliveries/:eventId/replay`,
    {
      schema: {
        tags,
        summary: "Deliver an event once more, whatever became of it",
        params: Type.Object({
          ...WebhookParams.properties,
          eventId: Type.String({ description: "evt_…" }),
        }),
        body: Nothing,
        response: { 202: envelope({ replayed: count("1") }), ...problems },
      },
    },
    async (request, reply) => {
      const { companyNo } = tenantOf(request);
      const { webhookId, eventId } = request.params;
      const principal = principalOf(request);
      const replayed = await companyWork(deps, request, async ({ tx, note }) => {
        const { subscriptionId, events } = await subscriptionOf(tx, companyNo, webhookId);
        mayHave(principal, events);
        const done = await replayDeliveries(tx, { companyNo, subscriptionId }, { eventId });
        if (done === 0) throw new ManylineError("DELIVERY_NOT_FOUND");
        note("webhook.replayed", subscriptionId, { eventId });
        return done;
      });
      return reply.code(202).send({ ...success, replayed });
    },
  );

  app.post(
    `${WEBHOOK}/replay`,
    {
      schema: {
        tags,
        summary: "Deliver once more all that died, or all events of a time",
        description: `Replays come in no order, marked \`manyline-late\`, with the ids they had. Codes are never sent again. A time is replayed ${WEBHOOK_FIGURES.replayed} events at a call: go on with \`until\` as \`from\`.`,
        params: WebhookParams,
        body: ReplayWebhook,
        response: {
          202: envelope({
            replayed: count("how many are to be delivered again"),
            until: {
              type: ["string", "null"],
              description: "so far the time was replayed; null: all of it",
            },
          }),
          ...problems,
        },
      },
    },
    async (request, reply) => {
      const { companyNo } = tenantOf(request);
      const { body } = request;
      const principal = principalOf(request);
      const done = await companyWork(deps, request, async ({ tx, note }) => {
        const { subscriptionId, events } = await subscriptionOf(
          tx,
          companyNo,
          request.params.webhookId,
        );
        mayHave(principal, events);
        const key = { companyNo, subscriptionId };
        if ("state" in body) {
          const replayed = await replayDeliveries(tx, key, { isDead: true });
          note("webhook.replayed", subscriptionId, { state: body.state, replayed });
          return { replayed, until: null };
        }
        const range = { from: timeOf("from", body.from), to: timeOf("to", body.to) };
        const found = await replayRange(tx, key, { ...range, most: WEBHOOK_FIGURES.replayed });
        note("webhook.replayed", subscriptionId, {
          from: range.from.toISOString(),
          to: range.to.toISOString(),
          replayed: found.count,
        });
        return { replayed: found.count, until: found.until?.toISOString() ?? null };
      });
      return reply.code(202).send({ ...success, ...done });
    },
  );
}

function timeOf(field: string, text: string): Date {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw invalidRequest({ field, message: "must be a time" });
  return at;
}

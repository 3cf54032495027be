/** Where a company wants its events sent. */
import {
  ChangeWebhook,
  companyWebhookTested,
  CreateWebhook,
  ManylineError,
  newSubscriptionId,
  parseSubscriptionId,
  RotateWebhookSecret,
  type SubscriptionId,
} from "@manyline/contracts";
import { newWebhookSecret, WEBHOOK_FIGURES } from "@manyline/contracts/webhooks";
import {
  addSubscription,
  changeSubscription,
  type Executor,
  getSubscription,
  listSubscriptions,
  queueTest,
  removeSubscription,
  rotateSubscriptionSecret,
  type SubscriptionRow,
  withCompany,
} from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { headersOf, judgeWebhook, mayHave, webhookOf } from "../domain/webhooks.ts";
import { companyWork } from "../work.ts";
import { envelope, listOf } from "./operator-schemas.ts";
import { CompanyParams, Nothing, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";
export const WEBHOOK = `${COMPANY}/webhooks/:webhookId`;
export const WebhookParams = Type.Object({
  ...CompanyParams.properties,
  webhookId: Type.String({ description: "sub_…" }),
});
const tags = ["webhooks"];
const HOUR_MS = 3_600_000;
const success = { success: true as const };
const WebhookAnswer = envelope({ webhook: ref("Webhook") });
const WithSecret = envelope({
  webhook: ref("Webhook"),
  secret: { type: "string", description: "whsec_…; calls are signed as Standard Webhooks says" },
});

export function registerWebhooks(app: App, deps: Deps): void {
  registerReading(app, deps);
  registerWriting(app, deps);
  registerActions(app, deps);
}

function registerReading(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/webhooks`,
    {
      schema: {
        tags,
        summary: "The company's webhooks, without their secrets and headers",
        params: CompanyParams,
        response: { 200: envelope({ webhooks: listOf(ref("Webhook")) }), ...problems },
      },
    },
    async (request) => {
      mayHave(principalOf(request), []);
      const { companyNo } = tenantOf(request);
      const found = await withCompany(deps.appDb, companyNo, (tx) =>
        listSubscriptions(tx, companyNo),
      );
      return { ...success, webhooks: found.map(webhookOf) };
    },
  );
  app.get(
    `${COMPANY}/webhooks/:webhookId`,
    {
      schema: {
        tags,
        summary: "Read a webhook: whether it is well, and since when not",
        params: WebhookParams,
        response: { 200: WebhookAnswer, ...problems },
      },
    },
    async (request) => {
      mayHave(principalOf(request), []);
      const { companyNo } = tenantOf(request);
      const row = await withCompany(deps.appDb, companyNo, (tx) =>
        subscriptionOf(tx, companyNo, request.params.webhookId),
      );
      return { ...success, webhook: webhookOf(row) };
    },
  );
}

function registerWriting(app: App, deps: Deps): void {
  app.post(
    `${COMPANY}/webhooks`,
    {
      schema: {
        tags,
        summary: "Have events sent to an address; the secret of their signatures is shown once",
        description:
          "A token can have sent what it may see: events with scope read, `pairing-code` with scope pair.",
        params: CompanyParams,
        body: CreateWebhook,
        response: { 201: WithSecret, ...problems },
      },
    },
    async (request, reply) => {
      const { companyNo } = tenantOf(request);
      const { url, events } = request.body;
      mayHave(principalOf(request), events);
      const headers = headersOf(request.body.headers ?? {});
      await judgeWebhook(url, deps.handlerGuard);
      const subscriptionId = newSubscriptionId();
      const secret = newWebhookSecret();
      const row = await companyWork(deps, request, async ({ tx, note }) => {
        const input = { subscriptionId, url, events: [...new Set(events)], headers, secret };
        const { subscriptions: most } = WEBHOOK_FIGURES;
        if (!(await addSubscription(tx, deps.keyring, companyNo, input, most))) {
          throw new ManylineError("WEBHOOKS_MANY", { most });
        }
        note("webhook.created", subscriptionId, { host: new URL(url).hostname, events });
        return subscriptionOf(tx, companyNo, subscriptionId);
      });
      return reply.code(201).send({ ...success, webhook: webhookOf(row), secret });
    },
  );
  app.patch(
    `${COMPANY}/webhooks/:webhookId`,
    {
      schema: {
        tags,
        summary: "Change a webhook, or switch it on or off",
        params: WebhookParams,
        body: ChangeWebhook,
        response: { 200: WebhookAnswer, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const { url, events, isEnabled } = request.body;
      const principal = principalOf(request);
      mayHave(principal, events ?? []);
      const headers = request.body.headers && headersOf(request.body.headers);
      if (url !== undefined) await judgeWebhook(url, deps.handlerGuard);
      const row = await companyWork(deps, request, async ({ tx, note }) => {
        const { subscriptionId, ...before } = await subscriptionOf(
          tx,
          companyNo,
          request.params.webhookId,
        );
        // Whoever moves it, or switches it on, has sent there what it asks for.
        mayHave(principal, before.events);
        const patch = { url, headers, isEnabled, events: events && [...new Set(events)] };
        await changeSubscription(tx, deps.keyring, companyNo, subscriptionId, patch);
        note("webhook.changed", subscriptionId, {
          changed: Object.keys(request.body),
          ...(url === undefined ? {} : { host: new URL(url).hostname }),
          ...(events === undefined ? {} : { events }),
        });
        return subscriptionOf(tx, companyNo, subscriptionId);
      });
      return { ...success, webhook: webhookOf(row) };
    },
  );
  app.delete(
    `${COMPANY}/webhooks/:webhookId`,
    {
      schema: {
        tags,
        summary: "Remove a webhook with its deliveries",
        params: WebhookParams,
        response: { 200: envelope({}), ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      mayHave(principalOf(request), []);
      await companyWork(deps, request, async ({ tx, note }) => {
        const subscriptionId = idOf(request.params.webhookId);
        if (!(await removeSubscription(tx, companyNo, subscriptionId))) throw unknownWebhook();
        note("webhook.removed", subscriptionId);
      });
      return success;
    },
  );
}

function registerActions(app: App, deps: Deps): void {
  app.post(
    `${WEBHOOK}/rotate-secret`,
    {
      schema: {
        tags,
        summary: "Put another secret in its place; the former one signs too for a while",
        description: "With both, each call has two signatures, and either is enough.",
        params: WebhookParams,
        body: RotateWebhookSecret,
        response: { 200: WithSecret, ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const { overlapHours = WEBHOOK_FIGURES.overlapHours } = request.body;
      const principal = principalOf(request);
      const secret = newWebhookSecret();
      const row = await companyWork(deps, request, async ({ tx, note }) => {
        const { subscriptionId, events } = await subscriptionOf(
          tx,
          companyNo,
          request.params.webhookId,
        );
        mayHave(principal, events);
        const overlapMs = Math.round(overlapHours * HOUR_MS);
        await rotateSubscriptionSecret(tx, deps.keyring, companyNo, subscriptionId, {
          secret,
          overlapMs,
        });
        note("webhook.secret_rotated", subscriptionId, { overlapHours });
        return subscriptionOf(tx, companyNo, subscriptionId);
      });
      return { ...success, webhook: webhookOf(row), secret };
    },
  );
  app.post(
    `${WEBHOOK}/test`,
    {
      schema: {
        tags,
        summary: "Send `company.webhook_tested`, whatever the webhook asks for",
        description:
          "It is delivered like any other event: see its deliveries for what came of it.",
        params: WebhookParams,
        body: Nothing,
        response: { 202: envelope({ eventId: { type: "string" } }), ...problems },
      },
    },
    async (request, reply) => {
      const { companyNo, companyId } = tenantOf(request);
      mayHave(principalOf(request), []);
      const eventId = await companyWork(deps, request, async ({ tx, emit, note }) => {
        const row = await subscriptionOf(tx, companyNo, request.params.webhookId);
        if (!row.isEnabled) throw new ManylineError("WEBHOOK_DISABLED");
        const { subscriptionId } = row;
        const id = emit(companyWebhookTested, { companyNo, companyId }, { subscriptionId });
        const event = { eventId: id, type: companyWebhookTested.type };
        await queueTest(tx, { companyNo, subscriptionId }, event);
        note("webhook.tested", subscriptionId);
        return id;
      });
      return reply.code(202).send({ ...success, eventId });
    },
  );
}

/** Throws WEBHOOK_NOT_FOUND. */
export async function subscriptionOf(
  executor: Executor,
  companyNo: number,
  text: string,
): Promise<SubscriptionRow & { subscriptionId: SubscriptionId }> {
  const subscriptionId = idOf(text);
  const row = await getSubscription(executor, companyNo, subscriptionId);
  if (!row) throw unknownWebhook();
  return { ...row, subscriptionId };
}

function idOf(text: string): SubscriptionId {
  const subscriptionId = parseSubscriptionId(text);
  if (subscriptionId === undefined) throw unknownWebhook();
  return subscriptionId;
}

function unknownWebhook(): ManylineError {
  return new ManylineError("WEBHOOK_NOT_FOUND");
}

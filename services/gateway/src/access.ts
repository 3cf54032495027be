import type { Scope } from "@manyline/contracts";

/**
 * Who may call a route.
 *
 * - `public`: nobody is asked.
 * - `admin`: the operator's token.
 * - `company`: a token of the company in the path with one of `scopes`, or the operator's. A pairing
 *   link's cookie is accepted only where `cookie` says so.
 */
export type Access =
  | { readonly kind: "public" }
  | { readonly kind: "admin" }
  | { readonly kind: "company"; readonly scopes: readonly Scope[]; readonly cookie: boolean };

const open: Access = { kind: "public" };
const admin: Access = { kind: "admin" };
const token = (...scopes: Scope[]): Access => ({ kind: "company", scopes, cookie: false });
const tokenOrCookie = (...scopes: Scope[]): Access => ({ kind: "company", scopes, cookie: true });

const company = "/api/whatsapp/companies/:companyId";
const webhook = `${company}/webhooks/:webhookId`;
const session = "/api/whatsapp/sessions/:companyId";
const shard = "/api/whatsapp/shards/:shardId";
const job = "/api/whatsapp/jobs/:jobId";

/**
 * Every route of the gateway. A route that is not here is refused at start, so that none is open by
 * oversight.
 */
export const ACCESS: Readonly<Record<string, Access>> = {
  "POST /api/whatsapp/companies": admin,
  "GET /api/whatsapp/companies": admin,
  [`GET ${company}`]: token("read", "manage"),
  [`PATCH ${company}`]: token("manage"),
  [`DELETE ${company}`]: admin,
  [`GET ${company}/tokens`]: admin,
  [`POST ${company}/tokens`]: admin,
  [`DELETE ${company}/tokens/:tokenId`]: admin,
  [`POST ${company}/numbers`]: token("manage"),
  [`GET ${company}/numbers`]: token("read", "manage"),
  [`GET ${company}/numbers/:numberId`]: token("read", "manage"),
  [`PATCH ${company}/numbers/:numberId`]: token("manage"),
  [`DELETE ${company}/numbers/:numberId`]: token("manage"),
  [`GET ${company}/numbers/:numberId/usage`]: token("read", "manage"),
  [`GET ${session}/status`]: tokenOrCookie("read", "pair"),
  [`POST ${session}/pairing-code`]: tokenOrCookie("pair"),
  [`POST ${session}/reconnect`]: tokenOrCookie("pair"),
  [`POST ${session}/wpp`]: token("manage"),
  [`POST ${session}/cleanup`]: tokenOrCookie("pair", "manage"),
  [`POST ${session}/cancel-pairing`]: tokenOrCookie("pair"),
  [`GET ${session}/qr`]: tokenOrCookie("pair"),
  [`GET ${session}/qr.png`]: tokenOrCookie("pair"),
  [`GET ${session}/qr.svg`]: tokenOrCookie("pair"),
  [`GET ${session}/events`]: tokenOrCookie("read", "pair"),
  [`POST ${session}/pairing-link`]: token("pair", "manage"),
  [`POST ${session}/messages`]: token("send"),
  [`GET ${session}/messages`]: token("read"),
  [`GET ${session}/messages/:messageId`]: token("read"),
  [`GET ${session}/chats`]: token("read"),
  [`GET ${session}/contacts`]: token("read"),
  [`GET ${session}/contacts/:contactId`]: token("read"),
  [`POST ${session}/check`]: token("send"),
  [`POST ${session}/media`]: token("send"),
  [`GET ${session}/media/:mediaId`]: token("read"),
  "GET /api/whatsapp/sessions": admin,
  "GET /api/whatsapp/metrics": admin,
  "GET /api/whatsapp/workers": admin,
  "POST /api/whatsapp/workers/:workerId/drain": admin,
  "POST /api/whatsapp/workers/:workerId/resume": admin,
  "GET /api/whatsapp/shards": admin,
  [`GET ${shard}`]: admin,
  [`POST ${shard}/pin`]: admin,
  [`DELETE ${shard}/pin`]: admin,
  [`POST ${shard}/pause`]: admin,
  [`POST ${shard}/resume`]: admin,
  [`POST ${shard}/split`]: admin,
  [`DELETE ${shard}/split`]: admin,
  [`POST ${shard}/merge`]: admin,
  [`DELETE ${shard}/merge`]: admin,
  "GET /api/whatsapp/shard-moves": admin,
  "POST /api/whatsapp/jobs": admin,
  "GET /api/whatsapp/jobs": admin,
  [`GET ${job}`]: admin,
  [`GET ${job}/items`]: admin,
  [`POST ${job}/cancel`]: admin,
  "GET /api/whatsapp/commands": admin,
  "POST /api/whatsapp/commands/:commandId/replay": admin,
  "GET /api/whatsapp/unroutable": admin,
  "POST /api/whatsapp/unroutable/replay": admin,
  "POST /api/whatsapp/unroutable/delete": admin,
  [`PUT ${company}/meta-app`]: token("manage"),
  [`DELETE ${company}/meta-app`]: token("manage"),
  [`POST ${company}/numbers/:numberId/check`]: token("manage"),
  [`GET ${company}/flow-keys`]: token("read", "manage"),
  [`POST ${company}/flow-keys`]: token("manage"),
  [`POST ${company}/flow-keys/rotate`]: token("manage"),
  [`DELETE ${company}/flow-keys/:keyId`]: token("manage"),
  [`GET ${company}/numbers/:numberId/flow-key`]: token("manage"),
  [`POST ${company}/numbers/:numberId/flow-key`]: token("manage"),
  [`GET ${company}/flow-handler`]: token("read", "manage"),
  [`PUT ${company}/flow-handler`]: token("manage"),
  [`DELETE ${company}/flow-handler`]: token("manage"),
  [`GET ${company}/flows`]: token("read", "manage"),
  [`PUT ${company}/flows/:name`]: token("manage"),
  [`DELETE ${company}/flows/:name`]: token("manage"),
  [`GET ${company}/notifications`]: token("read", "manage"),
  [`GET ${company}/webhooks`]: token("read", "manage"),
  [`POST ${company}/webhooks`]: token("manage"),
  [`GET ${webhook}`]: token("read", "manage"),
  [`PATCH ${webhook}`]: token("manage"),
  [`DELETE ${webhook}`]: token("manage"),
  [`POST ${webhook}/rotate-secret`]: token("manage"),
  [`POST ${webhook}/test`]: token("manage"),
  [`GET ${webhook}/deliveries`]: token("read", "manage"),
  [`POST ${webhook}/deliveries/:eventId/replay`]: token("manage"),
  [`POST ${webhook}/replay`]: token("manage"),
  "GET /api/whatsapp/flows": admin,
  "PUT /api/whatsapp/flows/:name": admin,
  "DELETE /api/whatsapp/flows/:name": admin,
  // The link is the proof.
  "GET /api/whatsapp/files/:token": open,
  "POST /api/whatsapp/link-exchange": open,
  "GET /health/live": open,
  "GET /health/ready": open,
  "GET /metrics": open,
  "GET /openapi.json": open,
  "GET /": open,
  "GET /whatsapp-pairing.html": open,
  "GET /capabilities.html": open,
  "GET /assets/*": open,
};

/** The rule of a route; undefined when the table does not know it. */
export function accessOf(method: string, url: string): Access | undefined {
  return ACCESS[`${method} ${url}`];
}

/** What a webhook may ask for, be called at, and send along. */
import { ManylineError, type Webhook, type WebhookDelivery } from "@manyline/contracts";
import { isEventFilter, PAIRING_CODE_EVENT } from "@manyline/contracts/webhooks";
import type { DeliveryRow, SubscriptionRow } from "@manyline/db";
import { type AddressGuard, FetchRefused, judgeUrl } from "@manyline/runtime";
import { hasScope } from "../auth.ts";
import { invalidRequest } from "../problem.ts";
import type { Principal } from "../request-types.ts";

/**
 * A webhook gives away what it asks for, so its maker must be allowed to see that; and it is the company's, so a token for
 * one number has nothing to do with it.
 */
export function mayHave(principal: Principal, events: readonly string[]): void {
  if (principal.numberNo !== null) {
    throw new ManylineError("FORBIDDEN", { detail: "This token is for one number only." });
  }
  for (const [place, event] of events.entries()) {
    if (!isEventFilter(event)) {
      throw invalidRequest({
        field: `events.${place}`,
        message: "must be an event, a family like message.*, * or pairing-code",
      });
    }
    const scope = event === PAIRING_CODE_EVENT ? "pair" : "read";
    if (!hasScope(principal, scope)) {
      throw new ManylineError("FORBIDDEN", {
        detail: `For ${event} the scope "${scope}" is needed.`,
      });
    }
  }
}

/** What we or HTTP itself set. */
const OURS =
  /^(webhook-.*|manyline-.*|content-.*|transfer-encoding|te|trailer|host|connection|keep-alive|upgrade|expect|accept-encoding|user-agent|traceparent|proxy-.*)$/;

/** In small letters; throws INVALID_REQUEST for a name that is not the company's to set, or is there twice. */
export function headersOf(given: Readonly<Record<string, string>>): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const small = name.toLowerCase();
    if (OURS.test(small) || Object.hasOwn(headers, small)) {
      throw invalidRequest({ field: `headers.${name}`, message: "cannot be set" });
    }
    headers[small] = value;
  }
  return headers;
}

const REFUSED: Partial<Record<FetchRefused["reason"], string>> = {
  bad_url: "The address must be https, without user and password.",
  address: "The address leads to a private network.",
  unreachable: "The name of the address is not known.",
};

/** Throws WEBHOOK_REFUSED for an address that nothing is sent to. */
export async function judgeWebhook(url: string, guard: AddressGuard): Promise<void> {
  try {
    await judgeUrl(url, guard);
  } catch (error) {
    if (!(error instanceof FetchRefused)) throw error;
    const detail = REFUSED[error.reason];
    throw new ManylineError("WEBHOOK_REFUSED", {
      reason: error.reason,
      ...(detail === undefined ? {} : { detail }),
    });
  }
}

export function webhookOf(row: SubscriptionRow): Webhook {
  const { formerUntil } = row;
  const isOverlapping = formerUntil !== null && formerUntil.getTime() > Date.now();
  return {
    id: row.subscriptionId,
    url: row.url,
    events: row.events,
    isEnabled: row.isEnabled,
    failures: row.failures,
    failingSince: row.failingSince?.toISOString() ?? null,
    lastError: row.lastError,
    formerSecretUntil: isOverlapping ? formerUntil.toISOString() : null,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export function deliveryOf(row: DeliveryRow): WebhookDelivery {
  const { eventId, type, state, isLate, attempts, status, error, latencyMs } = row;
  return {
    eventId,
    type,
    state,
    isLate,
    attempts,
    status,
    error,
    latencyMs,
    createdAt: row.createdAt.toISOString(),
    nextTryAt: state === "waiting" ? row.dueAt.toISOString() : null,
    endedAt: row.endedAt?.toISOString() ?? null,
  };
}

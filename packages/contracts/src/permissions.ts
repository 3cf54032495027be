/** NATS permissions, made from the catalogue. A company's credentials never get a leading wildcard. */
import { EVENTS } from "./events/catalogue.ts";
import type { CompanyId } from "./ids.ts";
import { ANY_SECRET_PAIRING, askFlow } from "./subjects.ts";

export type NatsPermissions = {
  /** An empty `allow` forbids nothing: who may publish nothing has `deny` as well. */
  publish: { allow: string[]; deny?: string[] };
  subscribe: { allow: string[] };
  /** It may answer what it is asked, and publish nothing else. */
  allow_responses?: { max: number; expires: string };
};

function families(): string[] {
  return [...new Set(EVENTS.map((definition) => definition.type.split(".")[0] ?? ""))].toSorted();
}

/**
 * What a company's own NATS user may do: read its events by family name, with `secrets` its pairing codes, and
 * with `flows` answer what its flows ask. Its inbox prefix is its own, or replies of others would be visible.
 */
export function companyPermissions(
  companyId: CompanyId,
  options: { secrets?: boolean; flows?: boolean } = {},
): NatsPermissions {
  return {
    publish: { allow: [], deny: [">"] },
    subscribe: {
      allow: [
        ...families().map((family) => `${family}.*.${companyId}.>`),
        ...(options.secrets ? [`secret.pairing.${companyId}.>`] : []),
        ...(options.flows ? [askFlow(companyId)] : []),
        `_INBOX_${companyId}.>`,
      ],
    },
    ...(options.flows ? { allow_responses: { max: 1, expires: "10s" } } : {}),
  };
}

/** What each service's NATS user may do. */
export function servicePermissions(
  service: "gateway" | "session-worker" | "webhook-ingest" | "notifier",
): NatsPermissions {
  const events = families().map((family) => `${family}.>`);
  const jetstream = ["$JS.API.>", "$JS.ACK.>"];
  if (service === "webhook-ingest") {
    return {
      publish: { allow: [...events, "ask.flow.*", ...jetstream] },
      subscribe: { allow: ["_INBOX.>"] },
    };
  }
  if (service === "notifier") {
    return {
      publish: { allow: [...events, ...jetstream] },
      subscribe: { allow: [ANY_SECRET_PAIRING, "_INBOX.>"] },
    };
  }
  return service === "gateway"
    ? {
        publish: { allow: [...events, "ctl.shard.*", "ctl.lease", ...jetstream] },
        subscribe: { allow: ["ctl.done.*", ...events, "_INBOX.>"] },
      }
    : {
        publish: { allow: [...events, "ctl.>", "secret.pairing.>", ...jetstream] },
        subscribe: { allow: ["ctl.>", "_INBOX.>"] },
      };
}

/** NATS permissions, made from the catalogue. A company's credentials never get a leading wildcard. */
import { EVENTS } from "./events/catalogue.ts";
import type { CompanyId } from "./ids.ts";

export type NatsPermissions = { publish: { allow: string[] }; subscribe: { allow: string[] } };

function families(): string[] {
  return [...new Set(EVENTS.map((definition) => definition.type.split(".")[0] ?? ""))].toSorted();
}

/**
 * What a company's own NATS user may do: read its events by family name and, with `secrets`, its pairing
 * codes. Its inbox prefix is its own, or replies of others would be visible.
 */
export function companyPermissions(
  companyId: CompanyId,
  options: { secrets?: boolean } = {},
): NatsPermissions {
  return {
    publish: { allow: [] },
    subscribe: {
      allow: [
        ...families().map((family) => `${family}.*.${companyId}.>`),
        ...(options.secrets ? [`secret.pairing.${companyId}.>`] : []),
        `_INBOX_${companyId}.>`,
      ],
    },
  };
}

/** What each service's NATS user may do. */
export function servicePermissions(
  service: "gateway" | "session-worker" | "webhook-ingest",
): NatsPermissions {
  const events = families().map((family) => `${family}.>`);
  const jetstream = ["$JS.API.>", "$JS.ACK.>"];
  if (service === "webhook-ingest") {
    return {
      publish: { allow: [...events, ...jetstream] },
      subscribe: { allow: ["_INBOX.>"] },
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

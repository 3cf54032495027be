import type { Generated } from "kysely";

/**
 * Key pairs of companies for flows: `public_key` (PEM) is what their numbers have at Meta, `private_key` (PKCS #8,
 * sealed with the company's key) opens the requests. The one without `retires_at` is current; a former one answers
 * until then. `fingerprint`: SHA-256 of the public key in hex.
 *
 * Writer: gateway.
 * Retention: a day after it has ceased to answer, or until the company is deleted.
 */
export type FlowKeysTable = {
  companyNo: number;
  flowKeyId: string;
  publicKey: string;
  fingerprint: string;
  privateKey: Buffer;
  createdAt: Generated<Date>;
  retiresAt: Date | null;
};

/**
 * Who fills the screens of a company's flows: whoever answers its subject on NATS, or a server of the company by
 * HTTPS, to which requests are signed with `secret` (sealed). Without a row it is NATS.
 *
 * Writer: gateway.
 * Retention: until it is removed, or the company is deleted.
 */
export type FlowHandlersTable = {
  companyNo: number;
  kind: "nats" | "https";
  url: string | null;
  secret: Buffer | null;
  updatedAt: Generated<Date>;
};

type Flow = {
  name: string;
  /** Meta's id. */
  flowId: string;
  /** Whether the first screen comes from the message or from the handler. */
  action: "navigate" | "data_exchange";
  /** The first screen, for `navigate`. */
  screen: string | null;
  updatedAt: Generated<Date>;
};

/**
 * The flow that stands behind a name for every company without one of its own.
 *
 * Writer: gateway.
 * Retention: until the operator removes it.
 */
export type SharedFlowsTable = Flow;

/**
 * The flow that stands behind a name for one company.
 *
 * Writer: gateway.
 * Retention: until it is removed, or the company is deleted.
 */
export type TenantFlowsTable = Flow & { companyNo: number };

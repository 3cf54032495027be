import type { CompanyId, Scope } from "@manyline/contracts";
import type { Context, Span } from "@opentelemetry/api";
import type { Access } from "./access.ts";

/** Who is asking, proven by a token or a cookie. */
export type Principal = {
  readonly tokenId: string;
  /** Null: the operator. */
  readonly companyNo: number | null;
  readonly companyId: string | null;
  readonly scopes: readonly Scope[];
  readonly kind: "api" | "cookie";
  /** Set: this principal sees this one number of its company. */
  readonly numberNo: number | null;
  readonly expiresAt: Date | null;
  /** To ask again whether it still holds, while a stream is open. Never logged. */
  readonly secret: string;
};

/** The company of the path, proven to be one that the principal may see. */
export type Tenant = { readonly companyNo: number; readonly companyId: CompanyId };

/** A number where only its keys are needed. */
export type NumberKeys = { readonly numberNo: number; readonly numberId: string };

declare module "fastify" {
  interface FastifyRequest {
    principal: Principal | null;
    tenant: Tenant | null;
    startedAt: number;
    span: Span | null;
    spanContext: Context | null;
    errorCode: string | null;
  }
  interface FastifyContextConfig {
    access?: Access;
  }
}

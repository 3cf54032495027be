import { ManylineError, parseCompanyId } from "@manyline/contracts";
import type { CompanyId, Scope } from "@manyline/contracts";
import { authenticate, getCompany } from "@manyline/db";
import type { FastifyRequest } from "fastify";
import { accessOf } from "./access.ts";
import type { Access } from "./access.ts";
import type { App } from "./app.ts";
import { COOKIE_NAME, assertSameOrigin, cookieOf } from "./cookie.ts";
import type { Deps } from "./deps.ts";
import type { Principal, Tenant } from "./request-types.ts";

/** The parts of `Deps` that proving a caller needs. */
export type AuthDeps = Pick<Deps, "platformDb" | "limiter" | "config">;

/** Names under which people put tokens into URLs, where logs and histories keep them. */
const TOKEN_PARAMETERS = new Set(["token", "access_token", "api_key", "authorization"]);

/**
 * Asks every route's rule (access.ts) before a body is read. The company comes from the token; the one
 * in the path must be the same, and a foreign one looks exactly like one that does not exist.
 */
export function registerAuth(app: App, deps: AuthDeps): void {
  app.decorateRequest("principal", null);
  app.decorateRequest("tenant", null);
  app.addHook("onRoute", (route) => {
    const methods = Array.isArray(route.method) ? route.method : [route.method];
    const isDocumentation = route.url === "/docs" || route.url.startsWith("/docs/");
    const [access] = methods
      .filter((method) => method !== "HEAD")
      .map((method): Access | undefined =>
        isDocumentation ? { kind: "public" } : accessOf(method, route.url),
      );
    if (!access) throw new Error(`${methods.join()} ${route.url} has no rule in access.ts`);
    route.config = { ...route.config, access };
  });
  app.addHook("onRequest", async (request) => {
    refuseTokenInUrl(request.query);
    const access = request.routeOptions.config.access;
    if (!access || access.kind === "public") {
      await deps.limiter.request(request.ip);
      return;
    }
    const { secret, via } = credentialOf(request);
    const principal = await prove(deps, request.ip, secret);
    if ((via === "cookie") !== (principal.kind === "cookie")) {
      throw unauthorized();
    }
    if (via === "cookie" && request.method !== "GET") assertSameOrigin(request, deps.config.http);
    request.principal = principal;
    // The operator runs bulk jobs with this token; its secrecy is what protects, not a limit.
    if (principal.companyNo !== null) await deps.limiter.request(request.ip, principal.tokenId);
    await admit(deps, request, access, principal);
  });
}

/** The company of the request. Only for routes with `:companyId`. */
export function tenantOf(request: FastifyRequest): Tenant {
  if (!request.tenant) throw new Error("this route has no company");
  return request.tenant;
}

/** Who is asking. Only for routes that are not public. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Error("this route is public");
  return request.principal;
}

export function isOperator(principal: Principal): boolean {
  return principal.scopes.includes("admin");
}

export function hasScope(principal: Principal, ...scopes: readonly Scope[]): boolean {
  return isOperator(principal) || scopes.some((scope) => principal.scopes.includes(scope));
}

/** Whether a token still holds; asked again and again by open streams. */
export async function stillHolds(
  { platformDb }: Pick<AuthDeps, "platformDb">,
  principal: Principal,
): Promise<boolean> {
  return (await authenticate(platformDb, principal.secret)) !== undefined;
}

async function prove(deps: AuthDeps, address: string, secret: string): Promise<Principal> {
  await deps.limiter.beforeLogin(address, secret);
  const found = await authenticate(deps.platformDb, secret);
  if (!found || found.kind === "link") {
    await deps.limiter.loginFailed(address, secret);
    throw unauthorized();
  }
  deps.limiter.loginWorked(secret);
  const { tokenId, companyNo, companyId, scopes, kind, numberNo, expiresAt } = found;
  return { tokenId, companyNo, companyId, scopes, kind, numberNo, expiresAt, secret };
}

async function admit(
  deps: AuthDeps,
  request: FastifyRequest,
  access: Exclude<Access, { kind: "public" }>,
  principal: Principal,
): Promise<void> {
  const wanted = companyOfPath(request);
  if (wanted !== undefined) request.tenant = await tenantFor(deps, principal, wanted);
  if (isOperator(principal)) return;
  if (access.kind === "admin") {
    throw new ManylineError("FORBIDDEN", { detail: 'This needs the scope "admin".' });
  }
  if (principal.kind === "cookie" && !access.cookie) {
    throw new ManylineError("FORBIDDEN", { detail: "A pairing page may not do this." });
  }
  if (!hasScope(principal, ...access.scopes)) {
    const names = access.scopes.map((scope) => `"${scope}"`).join(" or ");
    throw new ManylineError("FORBIDDEN", { detail: `This needs the scope ${names}.` });
  }
}

/** The id in the path, checked; undefined for routes without one. */
function companyOfPath(request: FastifyRequest): CompanyId | undefined {
  const { params } = request;
  if (typeof params !== "object" || params === null || !("companyId" in params)) return undefined;
  const companyId = parseCompanyId(String(params.companyId));
  if (companyId === undefined) throw new ManylineError("INVALID_COMPANY_ID");
  return companyId;
}

async function tenantFor(
  deps: AuthDeps,
  principal: Principal,
  companyId: CompanyId,
): Promise<Tenant> {
  if (principal.companyNo !== null) {
    if (principal.companyId !== companyId) throw new ManylineError("COMPANY_NOT_FOUND");
    return { companyNo: principal.companyNo, companyId };
  }
  const company = await getCompany(deps.platformDb, companyId);
  if (!company) throw new ManylineError("COMPANY_NOT_FOUND");
  return { companyNo: company.companyNo, companyId };
}

function credentialOf(request: FastifyRequest): { secret: string; via: "header" | "cookie" } {
  const header = request.headers.authorization;
  if (header !== undefined) {
    const secret = /^Bearer +([\x21-\x7e]{1,512})$/i.exec(header.trim())?.[1];
    if (secret === undefined) throw unauthorized();
    return { secret, via: "header" };
  }
  const secret = cookieOf(request.headers.cookie, COOKIE_NAME);
  if (secret === undefined) throw unauthorized();
  return { secret, via: "cookie" };
}

function unauthorized(): ManylineError {
  return new ManylineError("UNAUTHORIZED");
}

function refuseTokenInUrl(query: unknown): void {
  if (typeof query !== "object" || query === null) return;
  const found = Object.keys(query).find((name) => TOKEN_PARAMETERS.has(name.toLowerCase()));
  if (found !== undefined) {
    throw new ManylineError("INVALID_REQUEST", {
      detail: "A token is never sent in the address. Send Authorization: Bearer <token>.",
      errors: [{ field: found, message: "must not be a query parameter" }],
    });
  }
}

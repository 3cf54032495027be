import type { App } from "./app.ts";

/** Everything from here, no inline script or style, no framing. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

/**
 * The documentation's reader draws itself with inline styles; they are allowed on its pages alone, which
 * hold no secret.
 */
const DOCUMENTATION_POLICY = `${CONTENT_SECURITY_POLICY}; style-src 'self' 'unsafe-inline'`;

export function registerSecurityHeaders(app: App): void {
  app.addHook("onRequest", (request, reply, done) => {
    const isDocumentation = request.routeOptions.url?.startsWith("/docs") ?? false;
    reply.headers({
      "content-security-policy": isDocumentation ? DOCUMENTATION_POLICY : CONTENT_SECURITY_POLICY,
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "cross-origin-resource-policy": "same-origin",
      "x-request-id": request.id,
    });
    done();
  });
}

import { ManylineError } from "@manyline/contracts";

/** The cookie that a pairing link is exchanged for. */
export const COOKIE_NAME = "manyline_pairing";
const COOKIE_PATH = "/api/whatsapp";

/** A cookie's value out of a Cookie header; undefined when it is not there. */
export function cookieOf(header: string | undefined, name: string): string | undefined {
  for (const part of (header ?? "").split(";")) {
    const [key, ...rest] = part.split("=");
    if (key?.trim() === name) return rest.join("=").trim() || undefined;
  }
  return undefined;
}

/** Set-Cookie for a pairing page: out of reach of scripts and of other sites. */
export function pairingCookie(secret: string, expiresAt: Date, publicUrl: string): string {
  return [
    `${COOKIE_NAME}=${secret}`,
    `Path=${COOKIE_PATH}`,
    `Expires=${expiresAt.toUTCString()}`,
    "HttpOnly",
    "SameSite=Strict",
    ...(publicUrl.startsWith("https:") ? ["Secure"] : []),
  ].join("; ");
}

type Asking = {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly protocol: string;
  readonly host: string;
};

/**
 * A browser says where a request comes from, and only a browser sends a cookie without meaning to: what
 * comes from another site is refused. A caller that says nothing is no browser.
 */
export function assertSameOrigin(request: Asking, { publicUrl }: { publicUrl: string }): void {
  const site = request.headers["sec-fetch-site"];
  if (site === "same-origin") return;
  const origin = request.headers["origin"];
  const own = [new URL(publicUrl).origin, `${request.protocol}://${request.host}`];
  const isForeign =
    site === undefined
      ? origin !== undefined && (typeof origin !== "string" || !own.includes(origin))
      : site !== "none";
  if (isForeign) {
    throw new ManylineError("FORBIDDEN", { detail: "This request comes from another site." });
  }
}

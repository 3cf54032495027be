/** Who may do what: tokens, their scopes, and what they see. */
import { createHmac } from "node:crypto";
import { GraphError } from "./errors.ts";
import type { AccessToken, BusinessNumber, MetaWorld, TokenScope, Waba } from "./world.ts";

/** The token of a request; 190 when it is missing, wrong, revoked, or (subcode 463) has expired. */
export function tokenOf(world: MetaWorld, header: string | undefined): AccessToken {
  const [, text] = /^Bearer (.+)$/.exec(header ?? "") ?? [];
  const token = text === undefined ? undefined : world.tokens.get(text);
  if (!token || token.isRevoked) throw new GraphError({ code: 190, httpStatus: 401 });
  if (isExpired(token)) {
    const message = "Error validating access token: Session has expired";
    throw new GraphError({ code: 190, httpStatus: 401, subcode: 463, message });
  }
  return token;
}

/** A proof must be right wherever it is given, and be there where the token's app requires it. */
export function assertProof(world: MetaWorld, token: AccessToken, proof: string | null): void {
  const app = world.apps.get(token.appId);
  if (proof === null && app?.isProofRequired !== true) return;
  const right = createHmac("sha256", app?.secret ?? "")
    .update(token.token)
    .digest("hex");
  if (proof === right) return;
  const message =
    proof === null
      ? "API calls from the server require an appsecret_proof argument"
      : "Invalid appsecret_proof provided in the API argument";
  throw new GraphError({ code: 100, message });
}

export function isExpired({ expiresAt }: AccessToken): boolean {
  return expiresAt !== 0 && expiresAt * 1_000 <= Date.now();
}

/** The number, if this token sees it and may do this. What it does not see does not exist for it. */
export function numberFor(
  world: MetaWorld,
  token: AccessToken,
  id: string,
  scope: TokenScope,
): BusinessNumber {
  const number = world.numbers.get(id);
  if (!number) throw noSuchThing(id);
  if (!token.wabas.includes(number.wabaId)) throw new GraphError({ code: 200, httpStatus: 403 });
  needScope(token, scope);
  return number;
}

export function wabaFor(world: MetaWorld, token: AccessToken, id: string, scope: TokenScope): Waba {
  const waba = world.wabas.get(id);
  if (!waba) throw noSuchThing(id);
  if (!token.wabas.includes(id)) throw new GraphError({ code: 200, httpStatus: 403 });
  needScope(token, scope);
  return waba;
}

function needScope(token: AccessToken, scope: TokenScope): void {
  if (!token.scopes.includes(scope)) throw new GraphError({ code: 10, httpStatus: 403 });
}

export function noSuchThing(id: string): GraphError {
  const message = `Unsupported request. Object with ID '${id}' does not exist, cannot be loaded due to missing permissions, or does not support this operation`;
  return new GraphError({ code: 100, subcode: 33, message });
}

import { randomBytes } from "node:crypto";
import type { Account } from "./account.ts";
import type { Connection } from "./connection.ts";
import { codeNotification } from "./pairing-code.ts";
import type { CodeRequest } from "./pairing-code.ts";
import { PhoneError } from "./phone-error.ts";
import { bytes, el, kid, requireBytes } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

const WRAPPED_BYTES = 32 + 16 + 32; // salt, iv, key

/**
 * Records an accepted `companion_hello`. A later one for the same phone silently replaces the earlier.
 * @returns the content of the answer, with the ref
 * @throws {StanzaError} when the wrapped key is missing or has the wrong length
 */
export function acceptHello(connection: Connection, account: Account, node: Stanza): Stanza {
  const { server } = connection;
  const wrapped = requireBytes(
    kid(node, "link_code_pairing_wrapped_companion_ephemeral_pub"),
    "wrapped ephemeral key",
    WRAPPED_BYTES,
  );
  const ref = Buffer.from(`3@${randomBytes(24).toString("base64")}`);
  const request: CodeRequest = {
    account,
    connection,
    ref,
    wrapped,
    display: bytes(kid(node, "companion_platform_display"))?.toString() ?? "",
    expiresAt: Date.now() + server.scaled(account.options.codeTtlMs),
    isRetired: false,
    primaryHellos: 0,
    wrongCodes: 0,
    finish: undefined,
  };
  dropCode(server.codes.get(account.phone));
  dropCode(connection.code);
  connection.code = request;
  server.codes.set(account.phone, request);
  account.helloTimes.push(Date.now());
  // after the answer has been written
  queueMicrotask(() => {
    server.events.emit("code-requested", { account, connection, display: request.display });
    server.events.emit("phone-changed", account);
    const { companionRefresh, refreshTimes } = account.options;
    if (companionRefresh !== "before-scan") return;
    while (connection.refresh.sent < refreshTimes) connection.refresh.send(account.options);
  });
  const content = [el("link_code_pairing_ref", {}, ref)];
  return el("link_code_companion_reg", { stage: "companion_hello" }, content);
}

/** `companion_finish` arrived. @returns false when no phone waits for it or the ref is not ours */
export function takeFinish(connection: Connection, node: Stanza): boolean {
  const finish = connection.code?.finish;
  const ref = requireBytes(kid(node, "link_code_pairing_ref"), "ref");
  if (!finish || !connection.code?.ref.equals(ref)) return false;
  const bundle = requireBytes(kid(node, "link_code_pairing_wrapped_key_bundle"), "key bundle");
  const companionIdentity = requireBytes(kid(node, "companion_identity_public"), "identity", 32);
  finish.resolve({ bundle, companionIdentity });
  return true;
}

/** The request is gone: with its connection, or because another took its place. */
export function dropCode(request: CodeRequest | undefined): void {
  if (!request) return;
  request.finish?.reject(new PhoneError("couldnt_link_try_again"));
  request.connection.code = undefined;
  const { codes } = request.account.server;
  if (codes.get(request.account.phone) === request) codes.delete(request.account.phone);
}

/**
 * Tells the client that the phone wants another code. With the request's own ref the code is dead.
 * @param isForced adds `force_manual_refresh`
 */
export function sendRefreshCode(request: CodeRequest, isOwnRef: boolean, isForced: boolean): void {
  const ref = isOwnRef ? request.ref : Buffer.from(`3@${randomBytes(24).toString("base64")}`);
  if (isOwnRef) request.isRetired = true;
  const forced = isForced ? { force_manual_refresh: "true" } : {};
  const content = [el("link_code_pairing_ref", {}, ref)];
  request.connection.send(codeNotification({ stage: "refresh_code", ...forced }, content));
}

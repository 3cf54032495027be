import { randomBytes } from "node:crypto";
import type { Connection } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

const TIMEOUT_MS = 600_000;

/** Asks the client for a passkey instead of linking it. The ceremony that would follow is not simulated. */
export function requestPasskey(connection: Connection): void {
  const attrs = {
    from: SERVER_JID,
    type: "passkey_prologue_request",
    id: stanzaId(),
    t: String(unixNow()),
  };
  connection.send(el("notification", attrs, [passkeyOptions(connection)]));
  connection.server.events.emit("passkey-requested", connection);
}

/** The WebAuthn request options of this connection: the same ones each time they are asked for. */
export function passkeyOptions(connection: Connection): Stanza {
  connection.passkeyOptions ??= JSON.stringify({
    challenge: randomBytes(32).toString("base64url"),
    timeout: TIMEOUT_MS,
    rpId: "whatsapp.com",
    allowCredentials: [],
    userVerification: "required",
    extensions: { uvm: true },
  });
  return el("passkey_request_options", {}, Buffer.from(connection.passkeyOptions));
}

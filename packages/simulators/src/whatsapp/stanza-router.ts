import type { Connection } from "./connection.ts";
import { handleIq } from "./iq/router.ts";
import { finishLink } from "./linking.ts";
import { pairDeviceAnswered } from "./pairing-qr.ts";
import { handleClientMessage } from "./messages/client-messages.ts";
import { handleClientAck, handleClientReceipt } from "./messages/client-receipts.ts";
import { kid, StanzaError } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

/** Everything a client sends after the handshake. Never throws: a bad stanza is answered and recorded. */
export function handleStanza(connection: Connection, stanza: Stanza): void {
  const { server } = connection;
  server.events.emit("in", { connection, stanza });
  try {
    route(connection, stanza);
  } catch (error) {
    server.reportError(error);
    if (stanza.tag !== "iq") return;
    if (error instanceof StanzaError) connection.replyError(stanza, 400, "bad-request");
    else connection.replyError(stanza, 500, "internal-server-error");
  }
}

function route(connection: Connection, stanza: Stanza): void {
  const { server } = connection;
  switch (stanza.tag) {
    case "iq":
      if (stanza.attrs["type"] === "result" || stanza.attrs["type"] === "error") {
        answered(connection, stanza);
      } else {
        handleIq(connection, stanza);
      }
      return;
    case "ack":
      handleClientAck(connection, stanza);
      return;
    case "receipt":
      handleClientReceipt(connection, stanza);
      return;
    case "message":
      handleClientMessage(connection, stanza);
      return;
    case "ib": {
      const batch = kid(stanza, "offline_batch");
      if (batch) connection.delivery?.batch(Number(batch.attrs["count"]));
      return; // everything else in an `ib` is telemetry
    }
    case "presence":
    case "chatstate":
      server.events.emit("presence", { connection, stanza });
      return;
    default:
      server.reportUnhandled(stanza);
  }
}

/** The client answered an iq of ours. */
function answered(connection: Connection, iq: Stanza): void {
  const { id } = iq.attrs;
  if (id === connection.linking?.stanzaId) finishLink(connection, iq);
  else if (id === connection.pairDeviceId) pairDeviceAnswered(connection);
}

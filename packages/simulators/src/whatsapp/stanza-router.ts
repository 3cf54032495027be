import type { Connection } from "./connection.ts";
import { handleIq } from "./iq/router.ts";
import { finishLink } from "./linking.ts";
import { pairDeviceAnswered } from "./pairing-qr.ts";
import { el, kid, kids, StanzaError, unixNow } from "./stanza.ts";
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
      connection.refresh.onAck(stanza);
      connection.device?.settle(stanza.attrs["class"] ?? "", stanza.attrs["id"] ?? "");
      server.events.emit("ack", { connection, stanza });
      return;
    case "receipt":
      receipt(connection, stanza);
      return;
    case "message":
      message(connection, stanza);
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

/** A receipt settles what it names, and is itself acknowledged. */
function receipt(connection: Connection, stanza: Stanza): void {
  const { id = "", to = "", type } = stanza.attrs;
  const more = kids(kid(stanza, "list"), "item").map((item) => item.attrs["id"] ?? "");
  for (const each of [id, ...more]) connection.device?.settle("message", each);
  const attrs = { class: "receipt", id, from: to, ...(type === undefined ? {} : { type }) };
  connection.send(el("ack", attrs));
  connection.server.events.emit("receipt", { connection, stanza });
}

/** Peer messages go to the own phone. Messages to contacts are refused: this server does not carry them. */
function message(connection: Connection, stanza: Stanza): void {
  const { device, server } = connection;
  const { id = "", to = "", category } = stanza.attrs;
  const isPeer = category === "peer" && device !== undefined;
  const attrs = { class: "message", id, from: to, t: String(unixNow()) };
  connection.send(el("ack", isPeer ? attrs : { ...attrs, error: "405" }));
  if (isPeer) device.account.primary.push(stanza);
  else server.reportUnhandled(stanza);
}

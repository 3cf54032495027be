import type { Connection } from "../connection.ts";
import type { Device } from "../device.ts";
import { parseJid } from "../jid.ts";
import { el, kid } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { addressingOf } from "./letter.ts";
import type { Chat } from "./letter.ts";
import { askAgain, giveReceipt, readReceipt, receiptIds } from "./receipts.ts";

/** A client's receipt settles what it names, is acknowledged, and travels on to the sender. */
export function handleClientReceipt(connection: Connection, stanza: Stanza): void {
  const { device, server } = connection;
  const { id = "", to = "", type } = stanza.attrs;
  const isIgnored = isForgotten(device);
  if (!isIgnored && device) {
    if (type === "retry") {
      forwardRetry(device, stanza); // settled by the ack that follows
    } else {
      for (const each of receiptIds(stanza)) device.settle("message", each);
      forward(device, stanza);
    }
  }
  const attrs = { class: "receipt", id, from: to, ...(type === undefined ? {} : { type }) };
  connection.send(el("ack", attrs));
  server.events.emit("receipt", { connection, stanza });
}

/** A client's ack of a stanza. */
export function handleClientAck(connection: Connection, stanza: Stanza): void {
  const { device, server } = connection;
  const { id = "", class: tag = "" } = stanza.attrs;
  if (connection.registration) connection.refresh.onAck(stanza);
  if (tag !== "message" || !isForgotten(device)) device?.settle(tag, id);
  server.events.emit("ack", { connection, stanza });
}

/** The fault `lose-receipts`: the server behaves as if it had never got it. */
function isForgotten(device: Device | undefined): boolean {
  if (!device) return false;
  const { phone, server } = device.account;
  return server.faults.take("lose-receipts", { phone, deviceId: device.id }) !== undefined;
}

function forward(device: Device, stanza: Stanza): void {
  const receipt = readReceipt(device, stanza);
  if (!receipt) return;
  const { to = "", participant } = stanza.attrs;
  const sender = device.account.server.find(participant ?? to);
  if (sender) giveReceipt(receipt, sender.targets());
}

function forwardRetry(device: Device, stanza: Stanza): void {
  const { server } = device.account;
  const { id = "", to = "", participant, recipient } = stanza.attrs;
  const author = participant ?? to;
  const sender = server.find(author)?.target(parseJid(author).device);
  const chat = retryChat(device, stanza);
  if (!sender || !chat) return;
  server.stats.clientRetries++;
  askAgain(
    {
      id,
      from: { account: device.account, deviceId: device.id },
      count: Number(kid(stanza, "retry")?.attrs["count"] ?? 1),
      chat,
      addressing: addressingOf(recipient ?? author),
      content: Array.isArray(stanza.content) ? stanza.content : [],
    },
    sender,
  );
}

/** The chat the message was in, as its sender named it. */
function retryChat(device: Device, { attrs }: Stanza): Chat | undefined {
  const { server } = device.account;
  const { to = "", participant, recipient } = attrs;
  const group = participant === undefined ? undefined : server.groups.get(to);
  if (group) return { kind: "group", group };
  const account = recipient === undefined ? device.account : server.find(recipient);
  return account && { kind: "person", account };
}

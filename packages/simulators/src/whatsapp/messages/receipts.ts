import type { Device } from "../device.ts";
import type { Phone } from "../phone.ts";
import { el, kid, kids, uint, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { addressingOf, isPhone, jidOf } from "./letter.ts";
import type { Addressing, Chat, Party } from "./letter.ts";

export type ReceiptType = "delivered" | "read" | "played";

/** What became of messages at one device of their recipient. */
export type Receipt = {
  ids: string[];
  from: Party;
  type: ReceiptType;
  /** unix seconds */
  t: number;
  /** set for a group's message */
  group?: string;
  /** how the recipient knows the sender */
  addressing: Addressing;
};

/** A device could not open a message and asks its sender for another copy. */
export type RetryRequest = {
  id: string;
  from: Party;
  count: number;
  chat: Chat;
  /** the requester's own address in the form the message used */
  addressing: Addressing;
  /** what goes along as it came; a phone that asks fills in what a sender needs */
  content: Stanza[];
};

/** Tells every device of the sender: the phone shows it, companions get a receipt. */
export function giveReceipt(receipt: Receipt, targets: Iterable<Phone | Device>): void {
  for (const target of targets) {
    if (isPhone(target)) target.messages.takeReceipt(receipt);
    else target.push(receiptStanza(receipt));
  }
}

function receiptStanza({ ids, from, type, t, group, addressing }: Receipt): Stanza {
  const jid = jidOf(from, addressing);
  const [id = "", ...more] = ids;
  const attrs = {
    id,
    ...(group === undefined ? { from: jid } : { from: group, participant: jid }),
    t: String(t),
    ...(type === "delivered" ? {} : { type }),
  };
  const items = more.map((each) => el("item", { id: each }));
  return el("receipt", attrs, items.length > 0 ? [el("list", {}, items)] : undefined);
}

/** Hands the request to the device that sent the message. */
export function askAgain(request: RetryRequest, sender: Phone | Device): void {
  const { server } = request.from.account;
  server.retried.add(`${sender.account.phone}:${request.id}`);
  if (isPhone(sender)) {
    sender.messages.sendAgain(request);
    return;
  }
  const { id, from, count, chat, addressing, content } = request;
  const jid = jidOf(from, addressing);
  const isOwn = from.account === sender.account;
  const attrs = {
    id,
    type: "retry",
    t: String(unixNow()),
    ...(chat.kind === "group" ? { from: chat.group.jid, participant: jid } : { from: jid }),
    ...(isOwn && chat.kind === "person"
      ? { recipient: jidOf({ account: chat.account, deviceId: 0 }, addressing) }
      : {}),
  };
  const retry = el("retry", { count: String(count), id, t: attrs.t, v: "1", error: "0" });
  sender.push(el("receipt", attrs, content.length > 0 ? content : [retry]));
}

/** What a phone puts into its request. */
export function retryContent(phone: Phone, id: string, count: number, t: number): Stanza[] {
  return [
    el("retry", { count: String(count), id, t: String(t), v: "1", error: "0" }),
    el("registration", {}, uint(phone.keys.registrationId, 4)),
  ];
}

/** A client's `<receipt>` in terms of the above; undefined for receipts that concern nobody else. */
export function readReceipt(device: Device, stanza: Stanza): Receipt | undefined {
  const { to = "", type, participant } = stanza.attrs;
  const kind = RECEIPT_TYPES[type ?? ""];
  if (!kind) return undefined;
  const addressing = addressingOf(participant ?? to);
  return {
    ids: receiptIds(stanza),
    from: { account: device.account, deviceId: device.id },
    type: kind,
    t: unixNow(),
    ...(participant === undefined ? {} : { group: to }),
    addressing,
  };
}

/** `inactive` is a delivery receipt of a client that is not in the foreground. */
const RECEIPT_TYPES: Record<string, ReceiptType> = {
  "": "delivered",
  inactive: "delivered",
  read: "read",
  played: "played",
};

export function receiptIds(stanza: Stanza): string[] {
  const more = kids(kid(stanza, "list"), "item").map((item) => item.attrs["id"] ?? "");
  return [stanza.attrs["id"] ?? "", ...more];
}

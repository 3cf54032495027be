import type { Account } from "../account.ts";
import type { Device } from "../device.ts";
import { LID_SERVER, lidJid, parseJid, pnJid } from "../jid.ts";
import type { Phone } from "../phone.ts";
import { bytes, el } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import type { Group } from "./group.ts";

/** One device of an account; device 0 is the phone. */
export type Party = { account: Account; deviceId: number };

/** Where a message belongs. For a person: the recipient, also when the sender writes to itself. */
export type Chat = { kind: "person"; account: Account } | { kind: "group"; group: Group };

export type Addressing = "lid" | "pn";

/** A message on its way to one device. */
export type Letter = {
  id: string;
  sender: Party;
  chat: Chat;
  /** the address as the sender wrote it: receipts come back from there */
  to: string;
  /** `text`, `media`, `reaction`, `poll` ... as the sender called it */
  type: string;
  /** unix seconds */
  t: number;
  /** further attributes that go along, such as `edit` */
  attrs: Record<string, string>;
  /** `enc` elements for this device, in the order they have to be opened, and what goes along */
  content: Stanza[];
};

export type Envelope = Omit<Letter, "content">;

/** What one device gets of a message. */
export type Copy = { target: Phone | Device; content: Stanza[] };

export function addressingOf(jid: string): Addressing {
  return parseJid(jid).server === LID_SERVER ? "lid" : "pn";
}

export function jidOf({ account, deviceId }: Party, addressing: Addressing): string {
  return addressing === "lid" ? lidJid(account.lid, deviceId) : pnJid(account.phone, deviceId);
}

/** The chat as the phone's messages name it: a phone number or a group's address. */
export function chatId(chat: Chat): string {
  return chat.kind === "group" ? chat.group.jid : chat.account.phone;
}

export function isPhone(target: Phone | Device): target is Phone {
  return target.id === 0;
}

/** Hands a message to every device that gets a copy. */
export function post(envelope: Envelope, copies: Copy[]): void {
  const { sender, chat } = envelope;
  const { server } = sender.account;
  if (chat.kind === "person") sender.account.meet(chat.account);
  for (const { target, content } of copies) {
    const scope = { phone: target.account.phone, deviceId: target.id };
    const isBent = server.faults.take("garble", scope) !== undefined;
    const letter = { ...envelope, content: isBent ? content.map(bend) : content };
    if (isPhone(target)) {
      target.messages.take(letter);
    } else {
      server.stats.messagesOut++;
      target.push(toStanza(letter, target));
    }
  }
}

/** within the text or its MAC, not in the numbers at the end that nobody checks */
const BENT_FROM_END = 9;

/** What nobody can decrypt any more. */
function bend(node: Stanza): Stanza {
  const body = node.tag === "enc" ? bytes(node) : undefined;
  if (!body) return node;
  const place = body.length - BENT_FROM_END;
  body.writeUInt8(body.readUInt8(place) ^ 1, place);
  return { ...node, content: body };
}

/** A letter as a linked device gets it. */
export function toStanza(letter: Letter, target: Device): Stanza {
  const { id, type, t, sender } = letter;
  const attrs = {
    ...routing(letter, target),
    id,
    type,
    t: String(t),
    notify: sender.account.name,
    ...letter.attrs,
  };
  return el("message", attrs, letter.content);
}

function routing(letter: Letter, target: Device): Record<string, string> {
  const { sender, chat } = letter;
  if (chat.kind === "group") {
    const { addressing } = chat.group;
    return {
      from: chat.group.jid,
      participant: jidOf(sender, addressing),
      addressing_mode: addressing,
      ...otherForm("participant", sender.account, addressing),
    };
  }
  const option = target.account.options.addressing;
  const addressing = option === "pn" ? "pn" : "lid";
  const from = jidOf(sender, addressing);
  const isHidden = option === "lid-no-pn";
  if (sender.account !== target.account) {
    return { from, ...(isHidden ? {} : otherForm("sender", sender.account, addressing)) };
  }
  // a copy of what the own account wrote: with `sender_pn` here clients would map it to the recipient's LID
  const recipient = jidOf({ account: chat.account, deviceId: 0 }, addressing);
  return {
    from,
    recipient,
    ...(isHidden ? {} : otherForm("peer_recipient", chat.account, addressing)),
  };
}

/** The address of the other kind: `sender_pn` beside a LID, `sender_lid` beside a number. */
function otherForm(
  prefix: string,
  account: Account,
  addressing: Addressing,
): Record<string, string> {
  return addressing === "lid"
    ? { [`${prefix}_pn`]: pnJid(account.phone) }
    : { [`${prefix}_lid`]: lidJid(account.lid) };
}

/** Who wrote a message, and in which chat, read from the stanza around it. */
import { jidDecode } from "@whiskeysockets/baileys";
import type { StanzaPart } from "../stanzas.ts";

/** WhatsApp's own numbers need no other check; those of its notices are no phones. */
const E164 = /^[1-9][0-9]{5,14}$/;

/** A person by the addresses WhatsApp gave; at least one of the two is known. */
export type PersonRef = { phone: string | null; lid: string | null; name: string | null };

/** `number`: the number itself wrote it, on its phone or another linked device. */
export type Author = PersonRef | "number";

export type ChatRef = { type: "direct"; person: PersonRef } | { type: "group"; groupId: string };

export type Route = { chat: ChatRef; from: Author };

/** Undefined: not a conversation with a person or a group (status, channels, WhatsApp's own notices). */
export function routeOf({ attrs, isOwn }: StanzaPart): Route | undefined {
  const from = attrs["from"] ?? "";
  const server = jidDecode(from)?.server;
  const author = isOwn ? "number" : authorOf(attrs);
  if (author === undefined) return undefined;
  if (server === "g.us") return { chat: { type: "group", groupId: from }, from: author };
  if (server === "broadcast") {
    // A list of the sender's; here it is an ordinary chat with them. What we wrote to our own lists is no chat.
    if (from === "status@broadcast" || author === "number") return undefined;
    return { chat: { type: "direct", person: author }, from: author };
  }
  if (author !== "number") return { chat: { type: "direct", person: author }, from: author };
  const recipient = attrs["recipient"] ?? from;
  const other = person(
    [
      recipient,
      attrs["peer_recipient_pn"],
      attrs["peer_recipient_lid"],
      attrs["recipient_pn"],
      attrs["recipient_lid"],
    ],
    null,
  );
  return other && { chat: { type: "direct", person: other }, from: "number" };
}

function authorOf(attrs: StanzaPart["attrs"]): PersonRef | undefined {
  return person(
    [
      attrs["participant"] ?? attrs["from"],
      attrs["participant_pn"],
      attrs["participant_lid"],
      attrs["sender_pn"],
      attrs["sender_lid"],
    ],
    attrs["notify"] ?? null,
  );
}

/** From addresses of one and the same person, in either form. */
function person(
  addresses: readonly (string | undefined)[],
  name: string | null,
): PersonRef | undefined {
  let phone: string | null = null;
  let lid: string | null = null;
  for (const address of addresses) {
    const decoded = jidDecode(address);
    if (decoded?.server === "s.whatsapp.net" || decoded?.server === "hosted") {
      phone ??= E164.test(decoded.user) ? decoded.user : null;
    }
    if (decoded?.server === "lid" || decoded?.server === "hosted.lid") lid ??= decoded.user;
  }
  return phone === null && lid === null
    ? undefined
    : { phone, lid, name: name === "" ? null : name };
}

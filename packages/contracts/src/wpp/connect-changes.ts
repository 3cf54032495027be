/** What WPPConnect tells of earlier messages, votes and calls. */
import { type Json, numberOf, objectOf, textOf } from "../meta/json.ts";
import {
  addressOf,
  firstAddress,
  firstKnown,
  firstPerson,
  messageIdOf,
  partyText,
  personAt,
  type WppAddress,
} from "./address.ts";
import { type Read, timeIn } from "./connect-parts.ts";
import { optionNames } from "./kinds.ts";
import { factType, stateOf, stateOfAck } from "./states.ts";
import type { WppChat, WppInput, WppMessageInput } from "./types.ts";

export function readAck(body: Json, now: Date): Read {
  const ids = messageIdOf(body["id"]);
  const said = body["ack"] ?? body["status"];
  const number = numberOf(said);
  const state = number === undefined ? stateOf(textOf(said)) : stateOfAck(number);
  // What we have read of others is told in the same way.
  const isOthers = ids.isOwn === false || body["self"] === "in";
  if (state === undefined || isOthers || ids.id === null) {
    const facts = {
      event: "ignored",
      messageId: ids.id,
      from: null,
      type: "ack",
      text: null,
    } as const;
    return { facts, input: null };
  }
  const error =
    state === "failed"
      ? { code: textOf(said) ?? "unknown", title: "WhatsApp did not take it." }
      : null;
  return {
    facts: {
      event: "message.status",
      messageId: ids.id,
      from: null,
      type: factType(state),
      text: null,
    },
    input: {
      kind: "status",
      providerMessageId: ids.id,
      whatsappMessageId: null,
      state,
      recipient: personAt(firstPerson(addressOf(body["to"]), ids.chat)) ?? {},
      at: timeIn(body, now),
      error,
    },
  };
}

/** The webhook names no sender: the id of the reaction does. */
export function readReaction(body: Json, now: Date): Read {
  const [ids, target] = [messageIdOf(body["id"]), messageIdOf(body["msgId"])];
  const emoji = textOf(body["reactionText"]);
  const place = firstKnown(ids.chat, target.chat);
  const isGroup = place.kind === "group";
  const person = isGroup ? firstPerson(ids.participant, addressOf(body["sender"])) : place;
  const facts = {
    event: "message.reaction" as const,
    messageId: target.id,
    from: partyText(person),
    type: "reaction",
    text: emoji,
  };
  const chat = chatAt(place);
  if (target.id === null || chat === undefined) return unheard(facts);
  const from = ids.isOwn === true ? null : (personAt(person) ?? {});
  const at = timeIn(body, now);
  return {
    facts,
    input: {
      kind: "reaction",
      chat,
      from,
      at,
      providerMessageId: ids.id,
      target: target.id,
      emoji,
    },
  };
}

export function readRevoked(body: Json, now: Date): Read {
  const [ids, ref] = [messageIdOf(body["id"]), messageIdOf(body["refId"])];
  const target = ref.id ?? ids.id;
  const isOwn = ref.isOwn ?? ids.isOwn ?? false;
  const place = firstAddress(isOwn ? body["to"] : body["from"], body["chatId"]);
  const known = firstKnown(place, ref.chat, ids.chat);
  const group = [known, ref.chat, ids.chat].find(({ kind }) => kind === "group") ?? known;
  const isGroup = group.kind === "group";
  const person = isGroup
    ? firstPerson(addressOf(body["author"]), ids.participant, ref.participant)
    : known;
  const facts = {
    event: "message.revoked" as const,
    messageId: target,
    from: partyText(person),
    type: "revoked",
    text: null,
  };
  const chat = chatAt(group);
  if (target === null || chat === undefined) return unheard(facts);
  const from = isOwn ? null : (personAt(person) ?? {});
  const at = timeIn(body, now);
  return { facts, input: { kind: "delete", chat, from, at, providerMessageId: ids.id, target } };
}

export function readVote(body: Json, now: Date): Read {
  const poll = messageIdOf(body["msgId"]);
  const own = messageIdOf(body["id"]);
  const options = optionNames(body["selectedOptions"]);
  const place = firstKnown(addressOf(body["chatId"]), poll.chat);
  const sender = objectOf(body["sender"]);
  const voter = firstAddress(body["sender"], sender["id"]);
  const person = firstPerson(voter, place.kind === "group" ? own.participant : place);
  const facts = {
    event: "message.poll_response" as const,
    messageId: poll.id,
    from: partyText(person),
    type: "poll_response",
    text: options.join(", ") || null,
  };
  const chat = chatAt(place.kind === "none" ? person : place);
  if (poll.id === null || chat === undefined) return unheard(facts);
  const input: WppMessageInput = {
    kind: "message",
    event: "received",
    providerMessageId: own.id,
    chat,
    from: personAt(person) ?? {},
    at: timeIn(body, now),
    type: "poll_vote",
    text: facts.text,
    content: { pollVote: { providerMessageId: poll.id, options } },
    media: null,
    context: { providerMessageId: poll.id },
  };
  return { facts, input };
}

export function readCall(body: Json, now: Date): Read {
  const { id } = messageIdOf(body["id"]);
  const peer = firstAddress(body["peerJid"], body["from"]);
  const facts = {
    event: "call.incoming" as const,
    messageId: id,
    from: partyText(peer),
    type: "call",
    text: null,
  };
  const groupId = peer.kind === "group" ? peer.id : null;
  const input: WppInput = {
    kind: "call",
    callId: id,
    from: personAt(peer) ?? {},
    groupId,
    isVideo: body["isVideo"] === true,
    at: timeIn(body, now),
  };
  return { facts, input };
}

function chatAt(address: WppAddress): WppChat | undefined {
  if (address.kind === "group") return { type: "group", providerChatId: address.id };
  const person = personAt(address);
  return person && { type: "direct", person };
}

/** It does not say of which message, or of whom. */
function unheard(facts: Read["facts"]): Read {
  return { facts: { ...facts, event: "ignored" }, input: null };
}

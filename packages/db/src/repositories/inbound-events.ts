/** The events of a committed batch. What came from outside never keeps the rest from being told. */
import {
  contactCreated,
  contactMerged,
  EVENT_TEXT_LENGTH,
  type Media,
  type MessageData,
  messageDeleted,
  messageEchoed,
  messageEdited,
  messageImported,
  messageReaction,
  messageReceived,
  messageWaiting,
  newMediaId,
  type OutgoingEvent,
  type Person,
  type Chat,
} from "@manyline/contracts";
import { storable, storableDeep } from "./inbound-batch.ts";
import { tell } from "./message-rows.ts";
import type { ChangeItem, InboundSource, MessageItem } from "./inbound-items.ts";

export function createdEvent(source: InboundSource, person: Person): OutgoingEvent[] {
  const { contactId } = person;
  return contactId === null ? [] : [tell(source, contactCreated, { ...person, contactId })];
}

export function mergedEvent(
  source: InboundSource,
  person: Person,
  mergedContactId: string,
  chats: { chatId: string; into: string }[],
): OutgoingEvent[] {
  const { contactId } = person;
  return contactId === null
    ? []
    : [tell(source, contactMerged, { ...person, contactId, mergedContactId, chats })];
}

export type Place = { chat: Chat; from: Person; seq: number };

const MESSAGE_EVENTS = {
  received: messageReceived,
  echoed: messageEchoed,
  waiting: messageWaiting,
  imported: messageImported,
};

/** The message as it is told; every text in it can be stored. */
export function messageData(
  source: InboundSource,
  item: MessageItem,
  { chat, from }: Place,
  known: { messageId: string; contextId: string | null },
): MessageData {
  return storableDeep({
    messageId: known.messageId,
    providerMessageId: item.providerMessageId,
    provider: source.provider,
    chat,
    from,
    type: item.type,
    text: item.text,
    media: mediaOf(item),
    context: item.context
      ? { providerMessageId: item.context.providerMessageId, messageId: known.contextId }
      : null,
    at: item.at.toISOString(),
    ...item.content,
  });
}

function mediaOf({ media }: MessageItem): Media | null {
  if (!media) return null;
  const { source: _sealedElsewhere, stored, ...told } = media;
  const isSize = told.bytes !== null && Number.isSafeInteger(told.bytes) && told.bytes >= 0;
  return { id: stored?.mediaId ?? newMediaId(), ...told, bytes: isSize ? told.bytes : null };
}

export function messageEvent(
  source: InboundSource,
  event: MessageItem["event"],
  data: MessageData,
  seq: number,
): OutgoingEvent {
  const definition = MESSAGE_EVENTS[event];
  const cut =
    data.text !== null && data.text.length > EVENT_TEXT_LENGTH
      ? { ...data, text: cutText(data.text), isTruncated: true }
      : data;
  try {
    return tell(source, definition, cut, seq);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // Too large, or outside of its schema: the message is told without what only its kind has.
    const { messageId, providerMessageId, provider, chat, from, at, text } = cut;
    const bare = { messageId, providerMessageId, provider, chat, from, at };
    return tell(
      source,
      definition,
      { ...bare, type: "unsupported", text, media: null, context: null, isTruncated: true },
      seq,
    );
  }
}

export function changeEvent(
  source: InboundSource,
  item: ChangeItem,
  { chat, from, seq }: Place,
  messageId: string | null,
): OutgoingEvent {
  const target = storableDeep({
    messageId,
    providerMessageId: item.target,
    provider: source.provider,
    chat,
    from,
    at: item.at.toISOString(),
    changeProviderMessageId: item.providerMessageId,
  });
  switch (item.kind) {
    case "edit":
      return tell(
        source,
        messageEdited,
        { ...target, text: item.text && cutText(storable(item.text)) },
        seq,
      );
    case "delete":
      return tell(source, messageDeleted, target, seq);
    case "reaction":
      return tell(
        source,
        messageReaction,
        { ...target, emoji: item.emoji && shortEmoji(item.emoji) },
        seq,
      );
  }
}

/** WhatsApp shows one emoji, which is a few characters; a longer text is nobody's reaction. */
export const shortEmoji = (emoji: string): string => storable(emoji.slice(0, 64));

const cutText = (text: string): string => text.slice(0, EVENT_TEXT_LENGTH).toWellFormed();

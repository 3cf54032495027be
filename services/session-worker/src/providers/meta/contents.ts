/** What is sent, as the Cloud API wants it. */
import type { Send } from "@manyline/db";

/** The Cloud API has nothing like it, or it lacks what its kind needs. */
export class UnwritableError extends Error {}

type Json = Record<string, unknown>;

/** `mediaId`: of the file that was uploaded for it. */
export function graphMessage(send: Send, mediaId: string | undefined): Json {
  const { context } = send.content ?? {};
  const part = partOf(send, mediaId);
  const isReply = context !== undefined && send.type !== "reaction";
  return {
    messaging_product: "whatsapp",
    ...recipientOf(send),
    ...(isReply ? { context: { message_id: context.providerMessageId } } : {}),
    ...part,
    biz_opaque_callback_data: send.messageId,
  };
}

function recipientOf({ phone, userId, groupId }: Send): Json {
  if (groupId !== null) return { recipient_type: "group", to: groupId };
  // With the plus, or Meta may put the country code of the number before it.
  if (phone !== null) return { recipient_type: "individual", to: `+${phone}` };
  if (userId !== null) return { recipient_type: "individual", recipient: userId };
  throw new UnwritableError("nobody to send to");
}

function partOf(send: Send, mediaId: string | undefined): Json {
  const content = send.content ?? {};
  const { type } = send;
  const caption = send.text === null ? {} : { caption: send.text };
  switch (type) {
    case "text":
      return { type, text: { body: send.text ?? "", preview_url: false } };
    case "image":
    case "video":
      return { type, [type]: { id: need(mediaId), ...caption } };
    case "document": {
      const { fileName } = content.media ?? {};
      return {
        type,
        document: { id: need(mediaId), ...caption, ...(fileName ? { filename: fileName } : {}) },
      };
    }
    case "audio":
      return { type, audio: { id: need(mediaId) } };
    case "voice":
      return { type: "audio", audio: { id: need(mediaId), voice: true } };
    case "sticker":
      return { type, sticker: { id: need(mediaId) } };
    case "location":
      return { type, location: need(content.location) };
    case "contact":
      return { type: "contacts", contacts: need(content.contacts).map(cardOf) };
    case "reaction": {
      const { providerMessageId } = need(content.context);
      return { type, reaction: { message_id: providerMessageId, emoji: content.emoji ?? "" } };
    }
    case "template": {
      const { name, language, components } = need(content.template);
      return {
        type,
        template: { name, language: { code: language }, ...(components ? { components } : {}) },
      };
    }
    case "interactive":
      return { type, interactive: need(content.interactive) };
    case "poll":
    case "poll_vote":
    case "button_reply":
    case "list_reply":
    case "flow_reply":
    case "order":
    case "call_permission":
    case "system":
    case "welcome":
    case "unsupported":
    case "unknown":
    case "edit":
    case "delete":
      throw new UnwritableError(`the Cloud API does not send ${type}`);
  }
}

function cardOf({ name, phones }: { name: string; phones: string[] }): Json {
  return {
    name: { formatted_name: name, first_name: name },
    phones: phones.map((phone) => ({ phone })),
  };
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new UnwritableError("the message lacks what its kind needs");
  return value;
}

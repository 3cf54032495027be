/** The kinds of messages, one function for each family: undefined when the message is none of it. */
import type { MessageContent, MessageType } from "@manyline/contracts";
import type { proto } from "@whiskeysockets/baileys";
import { cardOf } from "./cards.ts";
import { mediaOf, type InboundMedia } from "./media.ts";

/** Something a person reads as a message of its own. */
export type Said = {
  kind: "message";
  type: MessageType;
  text: string | null;
  media: InboundMedia | null;
  /** WhatsApp's id of the message this one answers. */
  quotes: string | null;
  content: MessageContent;
  /** With it the votes on this poll can be read. */
  pollSecret?: Buffer;
  /** A vote, still encrypted. */
  vote?: EncryptedVote;
};

/** `creator`: who made the poll, as the voter's phone names them; null: it does not. */
export type EncryptedVote = {
  pollId: string;
  creator: string | null;
  payload: Buffer;
  iv: Buffer;
};

/** What a kind of message has to say about itself. */
export type Part = Partial<Omit<Said, "kind" | "quotes">> & Pick<Said, "type">;

export function plainOf({ conversation, extendedTextMessage }: proto.IMessage): Part | undefined {
  const text = conversation || extendedTextMessage?.text;
  return text ? { type: "text", text } : undefined;
}

export function fileOf(message: proto.IMessage): Part | undefined {
  const { imageMessage, videoMessage, ptvMessage, audioMessage, documentMessage, stickerMessage } =
    message;
  if (imageMessage) {
    const media = mediaOf("image", imageMessage);
    return { type: "image", text: imageMessage.caption || null, media };
  }
  const video = videoMessage ?? ptvMessage;
  if (video) {
    return { type: "video", text: video.caption || null, media: mediaOf("video", video) };
  }
  if (audioMessage) {
    const type = audioMessage.ptt ? "voice" : "audio";
    return { type, media: mediaOf("audio", audioMessage) };
  }
  if (documentMessage) {
    const media = mediaOf("document", documentMessage);
    return { type: "document", text: documentMessage.caption || null, media };
  }
  if (stickerMessage) return { type: "sticker", media: mediaOf("sticker", stickerMessage) };
  return undefined;
}

export function placeOf(message: proto.IMessage): Part | undefined {
  const { locationMessage: fixed, liveLocationMessage: live } = message;
  const { contactMessage: card, contactsArrayMessage: cards } = message;
  const place = fixed ?? live;
  if (place) {
    const location = {
      latitude: within(place.degreesLatitude, 90),
      longitude: within(place.degreesLongitude, 180),
      ...(fixed?.name ? { name: fixed.name } : {}),
      ...(fixed?.address ? { address: fixed.address } : {}),
      ...(live || fixed?.isLive ? { isLive: true } : {}),
    };
    const text = live ? live.caption : fixed?.comment;
    return { type: "location", text: text || null, content: { location } };
  }
  if (card) {
    return { type: "contact", content: { contacts: [cardOf(card.displayName, card.vcard)] } };
  }
  if (cards) {
    const contacts = (cards.contacts ?? []).map((one) => cardOf(one.displayName, one.vcard));
    return { type: "contact", text: cards.displayName || null, content: { contacts } };
  }
  return undefined;
}

function within(degrees: number | null | undefined, most: number): number {
  const value = degrees ?? 0;
  return Number.isFinite(value) ? Math.max(-most, Math.min(most, value)) : 0;
}

export function pollOf(message: proto.IMessage, secret: Uint8Array | undefined): Part | undefined {
  const poll =
    message.pollCreationMessage ??
    message.pollCreationMessageV2 ??
    message.pollCreationMessageV3 ??
    message.pollCreationMessageV5;
  if (poll) {
    const key = secret ?? poll.encKey;
    return {
      type: "poll",
      text: poll.name || null,
      content: {
        poll: {
          name: poll.name ?? "",
          options: (poll.options ?? []).map(({ optionName }) => optionName ?? ""),
          selectable: poll.selectableOptionsCount ?? 0,
        },
      },
      ...(key && key.length > 0 ? { pollSecret: Buffer.from(key) } : {}),
    };
  }
  const update = message.pollUpdateMessage;
  const key = update?.pollCreationMessageKey;
  if (!update || !key?.id) return undefined;
  const target = key.id;
  const creator = key.participant || key.remoteJid || null;
  const { encPayload, encIv } = update.vote ?? {};
  return {
    type: "poll_vote",
    content: { pollVote: { providerMessageId: target, options: null } },
    ...(encPayload && encIv
      ? {
          vote: {
            pollId: target,
            creator,
            payload: Buffer.from(encPayload),
            iv: Buffer.from(encIv),
          },
        }
      : {}),
  };
}

/** What was chosen from what somebody had offered. */
export function choiceOf(message: proto.IMessage): Part | undefined {
  const { buttonsResponseMessage: button, templateButtonReplyMessage: template } = message;
  const { listResponseMessage: list, interactiveResponseMessage: flow } = message;
  if (button) {
    return chosen("button_reply", button.selectedButtonId, button.selectedDisplayText);
  }
  if (template) {
    return chosen("button_reply", template.selectedId, template.selectedDisplayText);
  }
  if (list) return chosen("list_reply", list.singleSelectReply?.selectedRowId, list.title);
  const reply = flow?.nativeFlowResponseMessage;
  const id = reply && idIn(reply.paramsJson);
  if (id === undefined) return undefined;
  const isList = reply?.name === "single_select" || reply?.name === "menu_options";
  return chosen(isList ? "list_reply" : "button_reply", id, flow?.body?.text);
}

function chosen(
  type: "button_reply" | "list_reply",
  id: string | null | undefined,
  title: string | null | undefined,
): Part {
  const text = title || id || "";
  return { type, text, content: { selection: { id: id ?? "", title: text } } };
}

function idIn(paramsJson: string | null | undefined): string | undefined {
  try {
    const params: unknown = JSON.parse(paramsJson ?? "");
    if (typeof params !== "object" || params === null || !("id" in params)) return undefined;
    return typeof params.id === "string" ? params.id : undefined;
  } catch {
    return undefined;
  }
}

/** The readable part of what is shown in a shape of its own. */
export function textIn(message: proto.IMessage): string | null {
  const { templateMessage, buttonsMessage, listMessage, interactiveMessage } = message;
  const hydrated = templateMessage?.hydratedTemplate ?? templateMessage?.hydratedFourRowTemplate;
  const texts = [
    hydrated?.hydratedContentText,
    templateMessage?.interactiveMessageTemplate?.body?.text,
    buttonsMessage?.contentText,
    listMessage?.description,
    listMessage?.title,
    interactiveMessage?.body?.text,
    message.interactiveResponseMessage?.body?.text,
    message.highlyStructuredMessage?.hydratedHsm?.hydratedTemplate?.hydratedContentText,
    message.groupInviteMessage?.caption,
    message.groupInviteMessage?.groupName,
    message.productMessage?.product?.title,
    message.orderMessage?.message,
    message.eventMessage?.name,
    message.requestPaymentMessage?.noteMessage?.extendedTextMessage?.text,
    message.sendPaymentMessage?.noteMessage?.extendedTextMessage?.text,
  ];
  return texts.find((text) => text) ?? null;
}

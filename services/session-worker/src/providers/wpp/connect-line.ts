/** A number at WPPConnect Server. One person a call: a list may be sent to some of them only. */
import type { ChatAddress } from "@manyline/contracts";
import type { Send } from "@manyline/db";
import type { PhoneCheck, ReadMessage, TypingState } from "../provider.ts";
import type { WppConnectSession } from "./connect.ts";
import { WppError } from "./errors.ts";
import type { WppJson } from "./http.ts";
import { NotOfferedError, type WppFileForms, type WppLine } from "./line.ts";

type Json = Record<string, unknown>;

export function connectLine(account: WppConnectSession): WppLine {
  const post = (call: string, json: object) => account.post(call, json, "yes");
  return {
    session: account.session,
    status: () => account.status(),
    start: (webhookUrl) => account.start(webhookUrl),
    // It is part of what a session is started with.
    registerWebhook: () => Promise.resolve(),
    qr: () => account.qr(),
    phone: () => account.phone(),
    logout: () => account.logout(),
    send: async (send, file) => {
      const [call, json] = await callOf(send, file);
      return idIn(await account.post(call, { ...recipientOf(send), ...json }, "no"));
    },
    file: async (messageId) => {
      const { base64 } = await account.get("get-media-by-message", messageId);
      const text = typeof base64 === "string" ? base64.replace(/^data:[^,]*,/, "") : "";
      if (text === "") throw new WppError("not_found", "WPPConnect Server does not have the file");
      return chunksOf(Buffer.from(text, "base64"));
    },
    unread: async () => {
      const { response } = await account.get("all-unread-messages");
      return Array.isArray(response) ? (response as unknown[]) : [];
    },
    checkPhones: async (phones) => {
      const results: PhoneCheck[] = [];
      for (const phone of phones) {
        const { response } = await account.get("check-number-status", phone);
        const isOnWhatsapp = Object(response)["numberExists"] === true;
        results.push({ phone, isOnWhatsapp, lid: null });
      }
      return results;
    },
    markRead: async (chat: ChatAddress, _messages: readonly ReadMessage[]) => {
      await post("send-seen", recipientOf(chat));
      return true;
    },
    showTyping: async (chat: ChatAddress, state: TypingState) => {
      const call = state === "recording" ? "recording" : "typing";
      await post(call, { ...recipientOf(chat), value: state !== "paused" });
      return true;
    },
  };
}

function recipientOf({ phone, lid, groupId }: ChatAddress): Json {
  if (groupId !== null) return { phone: groupId.split("@")[0], isGroup: true };
  if (phone !== null) return { phone, isGroup: false, isLid: false };
  if (lid !== null) return { phone: lid, isGroup: false, isLid: true };
  throw new NotOfferedError("nobody to send to");
}

async function callOf(send: Send, file: WppFileForms): Promise<[string, Json]> {
  const { type, text } = send;
  const content = send.content ?? {};
  const target = content.context?.providerMessageId;
  const quoted = target === undefined ? {} : { quotedMessageId: target };
  switch (type) {
    case "text":
      return target === undefined
        ? ["send-message", { message: text ?? "" }]
        : ["send-reply", { message: text ?? "", messageId: target }];
    case "image":
      return ["send-image", { ...(await base64Of(send, file)), ...quoted }];
    case "video":
    case "audio":
    case "document":
      return ["send-file-base64", { ...(await base64Of(send, file)), ...quoted }];
    case "voice": {
      const { base64 } = await base64Of(send, file);
      return ["send-voice-base64", { base64Ptt: base64, ...quoted }];
    }
    case "sticker":
      return ["send-sticker", { path: (await base64Of(send, file)).base64 }];
    case "location": {
      const { latitude, longitude, name, address } = need(content.location);
      return ["send-location", { lat: latitude, lng: longitude, title: name ?? "", address }];
    }
    case "contact": {
      // Cards have one number each, which names the account: digits, however the phone was written.
      const cards = need(content.contacts);
      const digits = cards.flatMap(({ phones }) => phones.map((one) => one.replaceAll(/\D/g, "")));
      const name = cards.map((card) => card.name).join(", ");
      return ["contact-vcard", { contactsId: digits.map((phone) => `${phone}@c.us`), name }];
    }
    case "poll": {
      const { name, options, selectable } = need(content.poll);
      return [
        "send-poll-message",
        { name, choices: options, options: { selectableCount: selectable } },
      ];
    }
    case "reaction":
      return ["react-message", { msgId: need(target), reaction: content.emoji || false }];
    case "edit":
      return ["edit-message", { id: need(target), newText: text ?? "" }];
    case "delete":
      return ["delete-message", { messageId: need(target), onlyLocal: false }];
    case "button_reply":
    case "call_permission":
    case "flow_reply":
    case "interactive":
    case "list_reply":
    case "order":
    case "poll_vote":
    case "system":
    case "template":
    case "unknown":
    case "unsupported":
    case "welcome":
      throw new NotOfferedError(`WPPConnect Server has no call for ${type}`);
  }
}

async function base64Of(send: Send, file: WppFileForms): Promise<Json & { base64: string }> {
  const { mimeType, fileName } = need(send.content?.media);
  const bytes = await file.bytes();
  return {
    base64: `data:${mimeType};base64,${bytes.toString("base64")}`,
    filename: fileName ?? send.type,
    caption: send.text ?? "",
  };
}

async function* chunksOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function need<T>(value: T | undefined): T {
  if (value === undefined) throw new NotOfferedError("the message lacks what its kind needs");
  return value;
}

/** A text, or an object with the text in `_serialized`. */
function idIn(answer: WppJson): string | null {
  const { response } = answer;
  const first: unknown = Array.isArray(response) ? response[0] : response;
  const id: unknown = Object(first)["id"];
  if (typeof id === "string" && id !== "") return id;
  const whole: unknown = Object(id)["_serialized"];
  return typeof whole === "string" ? whole : null;
}

import { normalizeMessageContent, proto } from "@whiskeysockets/baileys";
import { MEDIA_KINDS } from "./media.ts";
import type { MediaFields, MediaKind } from "./media.ts";
import { newPollSecret, pollIn, sealVote } from "./polls.ts";

const { Type } = proto.Message.ProtocolMessage;

/** What a phone can write. Ids name messages of the same chat. */
export type Content =
  | { kind: "text"; text: string; quote?: string }
  | {
      kind: MediaKind;
      bytes: Uint8Array;
      mimetype: string;
      caption?: string;
      fileName?: string;
      /** audio recorded in the chat */
      voice?: boolean;
      /** can be opened once */
      viewOnce?: boolean;
      seconds?: number;
      width?: number;
      height?: number;
    }
  | { kind: "location"; latitude: number; longitude: number; name?: string }
  | { kind: "contact"; name: string; vcard: string }
  /** an empty emoji takes the reaction back */
  | { kind: "reaction"; target: string; emoji: string }
  | { kind: "edit"; target: string; text: string }
  | { kind: "delete"; target: string }
  /** `selectable`: how many options one may choose; 0, the default: any number */
  | { kind: "poll"; name: string; options: readonly string[]; selectable?: number }
  /** names of options; none takes the vote back. Each vote replaces the voter's earlier one */
  | { kind: "vote"; target: string; options: readonly string[] }
  /** anything else, as the protocol writes it */
  | { kind: "raw"; message: proto.IMessage };

/** A message as a person sees it. */
export type Reading = {
  /** `text`, a media kind, `location`, `contact`, `poll`, `vote`, `reaction`, `edit`, `delete`, or the protocol's own name */
  kind: string;
  /** the text, the caption, the emoji, the new text of an edit, the question of a poll */
  text?: string;
  /** id of the message that is reacted to, voted on, edited, deleted or quoted */
  target?: string;
  media?: MediaFields & { kind: MediaKind; mimetype: string; fileName?: string };
};

/** Elements that are not messages but machinery; a person sees nothing. */
const SILENT = new Set(["senderKeyDistributionMessage", "messageContextInfo", "protocolMessage"]);

/** What a person reads in a message; undefined when there is nothing to see. */
export function read(raw: proto.IMessage): Reading | undefined {
  const message = normalizeMessageContent(raw) ?? raw;
  const { protocolMessage, reactionMessage, extendedTextMessage } = message;
  if (protocolMessage) return readProtocol(protocolMessage);
  if (message.conversation) return { kind: "text", text: message.conversation };
  if (extendedTextMessage) {
    const quoted = extendedTextMessage.contextInfo?.stanzaId;
    return {
      kind: "text",
      text: extendedTextMessage.text ?? "",
      ...(quoted ? { target: quoted } : {}),
    };
  }
  if (reactionMessage) {
    const target = reactionMessage.key?.id ?? "";
    return { kind: "reaction", target, text: reactionMessage.text ?? "" };
  }
  for (const kind of MEDIA_KINDS) {
    const file = message[`${kind}Message`];
    if (file) return readMedia(kind, file);
  }
  if (message.locationMessage) {
    return { kind: "location", text: message.locationMessage.name ?? "" };
  }
  if (message.contactMessage) {
    return { kind: "contact", text: message.contactMessage.displayName ?? "" };
  }
  const poll = pollIn(message);
  if (poll) return { kind: "poll", text: poll.name ?? "" };
  if (message.pollUpdateMessage) {
    return { kind: "vote", target: message.pollUpdateMessage.pollCreationMessageKey?.id ?? "" };
  }
  const other = Object.entries(message).find(
    ([name, value]) => value !== null && value !== undefined && !SILENT.has(name),
  );
  return other && { kind: other[0] };
}

function readProtocol(message: proto.Message.IProtocolMessage): Reading | undefined {
  const target = message.key?.id ?? "";
  if (message.type === Type.REVOKE) return { kind: "delete", target };
  if (message.type !== Type.MESSAGE_EDIT) return undefined;
  const text = message.editedMessage ? read(message.editedMessage)?.text : undefined;
  return { kind: "edit", target, text: text ?? "" };
}

type MediaMessage = {
  url?: string | null;
  mediaKey?: Uint8Array | null;
  fileSha256?: Uint8Array | null;
  fileEncSha256?: Uint8Array | null;
  fileLength?: unknown;
  mimetype?: string | null;
  caption?: string | null;
  fileName?: string | null;
};

function readMedia(kind: MediaKind, file: MediaMessage): Reading {
  const none = new Uint8Array();
  return {
    kind,
    ...(file.caption ? { text: file.caption } : {}),
    media: {
      kind,
      url: file.url ?? "",
      mediaKey: file.mediaKey ?? none,
      fileSha256: file.fileSha256 ?? none,
      fileEncSha256: file.fileEncSha256 ?? none,
      fileLength: Number(file.fileLength ?? 0),
      mimetype: file.mimetype ?? "",
      ...(file.fileName ? { fileName: file.fileName } : {}),
    },
  };
}

/** What a phone needs to know to write a content. */
export type Writing = {
  /** the key of an earlier message of the chat */
  keyOf: (id: string) => proto.IMessageKey;
  /** encrypts and uploads a file */
  upload: (kind: MediaKind, bytes: Uint8Array) => MediaFields;
  /** the secret of a poll of the chat */
  pollSecret: (id: string) => Uint8Array;
  /** the phone's own address in the chat */
  self: string;
};

export type Written = {
  message: proto.IMessage;
  /** `type` of the stanza */
  type: string;
  /** attributes of the stanza */
  attrs: Record<string, string>;
  /** attributes of the `enc` elements */
  encAttrs: Record<string, string>;
};

/** The protocol's form of a content. */
export function write(content: Content, writing: Writing): Written {
  const { keyOf, upload } = writing;
  const plain = (message: proto.IMessage): Written => ({
    message,
    type: "text",
    attrs: {},
    encAttrs: {},
  });
  switch (content.kind) {
    case "text": {
      const { text, quote } = content;
      if (quote === undefined) return plain({ conversation: text });
      const contextInfo = { stanzaId: quote, participant: keyOf(quote).participant ?? null };
      return plain({ extendedTextMessage: { text, contextInfo } });
    }
    case "location": {
      const { latitude, longitude, name = "" } = content;
      const locationMessage = { degreesLatitude: latitude, degreesLongitude: longitude, name };
      return plain({ locationMessage });
    }
    case "contact": {
      const contactMessage = { displayName: content.name, vcard: content.vcard };
      return { ...plain({ contactMessage }), type: "media", encAttrs: { mediatype: "vcard" } };
    }
    case "reaction": {
      const key = keyOf(content.target);
      const reactionMessage = { key, text: content.emoji, senderTimestampMs: Date.now() };
      const encAttrs = { "decrypt-fail": "hide" };
      return { ...plain({ reactionMessage }), type: "reaction", encAttrs };
    }
    case "edit": {
      const protocolMessage = {
        type: Type.MESSAGE_EDIT,
        key: keyOf(content.target),
        editedMessage: { conversation: content.text },
        timestampMs: Date.now(),
      };
      const edited = { editedMessage: { message: { protocolMessage } } };
      return { ...plain(edited), attrs: { edit: "1" }, encAttrs: { "decrypt-fail": "hide" } };
    }
    case "delete": {
      const key = keyOf(content.target);
      const protocolMessage = { type: Type.REVOKE, key };
      const encAttrs = { "decrypt-fail": "hide" };
      // What somebody else wrote is deleted as an admin.
      const edit = key.fromMe === false && key.participant ? "8" : "7";
      return { ...plain({ protocolMessage }), attrs: { edit }, encAttrs };
    }
    case "poll": {
      const { name, options, selectable = 0 } = content;
      const pollCreationMessageV3 = {
        name,
        options: options.map((optionName) => ({ optionName })),
        selectableOptionsCount: selectable,
      };
      const messageContextInfo = { messageSecret: newPollSecret() };
      return { ...plain({ pollCreationMessageV3, messageContextInfo }), type: "poll" };
    }
    case "vote": {
      const key = keyOf(content.target);
      const creator = key.fromMe ? writing.self : (key.participant ?? key.remoteJid ?? "");
      const vote = sealVote({
        pollId: content.target,
        secret: writing.pollSecret(content.target),
        creator,
        voter: writing.self,
        options: content.options,
      });
      const pollUpdateMessage = {
        pollCreationMessageKey: key,
        vote,
        senderTimestampMs: Date.now(),
      };
      const encAttrs = { "decrypt-fail": "hide" };
      return { ...plain({ pollUpdateMessage }), type: "poll", encAttrs };
    }
    case "raw":
      return plain(content.message);
    case "image":
    case "video":
    case "audio":
    case "document":
    case "sticker": {
      const { kind, bytes, mimetype, caption, fileName, voice = false, viewOnce = false } = content;
      const { seconds, width, height } = content;
      const file = {
        ...upload(kind, bytes),
        mimetype,
        ...(caption === undefined ? {} : { caption }),
        ...(fileName === undefined ? {} : { fileName, title: fileName }),
        ...(voice ? { ptt: true } : {}),
        ...(viewOnce ? { viewOnce } : {}),
        ...(seconds === undefined ? {} : { seconds }),
        ...(width === undefined ? {} : { width }),
        ...(height === undefined ? {} : { height }),
      };
      const mediatype = voice ? "ptt" : kind;
      return { ...plain({ [`${kind}Message`]: file }), type: "media", encAttrs: { mediatype } };
    }
  }
}

/** What a message says, read from the protocol's own form. Pure; knows no chat and no sender. */
import { proto } from "@whiskeysockets/baileys";
import {
  choiceOf,
  fileOf,
  placeOf,
  plainOf,
  pollOf,
  textIn,
  type Part,
  type Said,
} from "./kinds.ts";

/** A change to an earlier message, named by WhatsApp's id. */
export type Changed =
  | { kind: "reaction"; target: string; emoji: string | null }
  | { kind: "edited"; target: string; text: string | null }
  /** `isByAdmin`: of what somebody else wrote in the group; WhatsApp lets it through of admins only. */
  | { kind: "deleted"; target: string; isByAdmin?: boolean };

const { Type } = proto.Message.ProtocolMessage;

/** Envelopes around the message proper. */
const WRAPPERS = [
  "ephemeralMessage",
  "viewOnceMessage",
  "viewOnceMessageV2",
  "viewOnceMessageV2Extension",
  "documentWithCaptionMessage",
  "editedMessage",
  "associatedChildMessage",
  "groupMentionedMessage",
  "botForwardedMessage",
  "lottieStickerMessage",
  "pollCreationMessageV4",
  "questionMessage",
  "limitSharingMessage",
] as const satisfies (keyof proto.IMessage)[];
const VIEW_ONCE = new Set<string>([
  "viewOnceMessage",
  "viewOnceMessageV2",
  "viewOnceMessageV2Extension",
]);
const MAX_DEPTH = 8;

/** Machinery of the protocol; a person sees nothing of it. */
const SILENT = new Set<string>([
  "senderKeyDistributionMessage",
  "fastRatchetKeySenderKeyDistributionMessage",
  "messageContextInfo",
  "protocolMessage",
  "albumMessage",
  "keepInChatMessage",
  "pinInChatMessage",
  "encReactionMessage",
  "stickerSyncRmrMessage",
  "placeholderMessage",
  "messageHistoryBundle",
  "messageHistoryNotice",
  "call",
  "callLogMesssage",
  "bcallMessage",
  "chat",
  "groupStatusMessage",
  "groupStatusMessageV2",
  "statusMentionMessage",
  "groupStatusMentionMessage",
  "statusNotificationMessage",
]);

/** Undefined: nothing that anybody would be told. */
export function contentOf(message: proto.IMessage): Said | Changed | undefined {
  const { inner, isViewOnce, secret } = unwrap(message);
  const change = changeOf(inner);
  if (change) return change;
  const said = plainOf(inner) ?? fileOf(inner) ?? placeOf(inner) ?? pollOf(inner, secret);
  const found = said ?? choiceOf(inner) ?? otherOf(inner);
  if (!found) return undefined;
  const context = contextOf(inner);
  const isForwarded = context?.isForwarded ?? false;
  return {
    kind: "message",
    text: null,
    media: null,
    ...found,
    quotes: context?.stanzaId || null,
    content: {
      ...found.content,
      ...(isViewOnce || isOnce(inner) ? { isViewOnce: true } : {}),
      ...(isForwarded ? { isForwarded: true } : {}),
    },
  };
}

type Unwrapped = { inner: proto.IMessage; isViewOnce: boolean; secret: Uint8Array | undefined };

function unwrap(message: proto.IMessage): Unwrapped {
  let inner = message;
  let isViewOnce = false;
  let secret = inner.messageContextInfo?.messageSecret ?? undefined;
  for (let depth = 0; depth < MAX_DEPTH; depth += 1) {
    const name = WRAPPERS.find((each) => inner[each]?.message);
    const next = name && inner[name]?.message;
    if (!next) break;
    isViewOnce ||= VIEW_ONCE.has(name);
    inner = next;
    secret = inner.messageContextInfo?.messageSecret ?? secret;
  }
  return { inner, isViewOnce, secret };
}

function changeOf(message: proto.IMessage): Changed | undefined {
  const { protocolMessage: protocol, reactionMessage: reaction } = message;
  if (reaction?.key?.id) {
    return { kind: "reaction", target: reaction.key.id, emoji: reaction.text || null };
  }
  const target = protocol?.key?.id;
  if (!target) return undefined;
  if (protocol.type === Type.REVOKE) return { kind: "deleted", target };
  if (protocol.type !== Type.MESSAGE_EDIT || !protocol.editedMessage) return undefined;
  const edited = contentOf(protocol.editedMessage);
  return { kind: "edited", target, text: edited?.kind === "message" ? edited.text : null };
}

/** Of what we have no shape for, its text if it has one. An empty text message is one of these. */
function otherOf(message: proto.IMessage): Part | undefined {
  const names = Object.entries(message)
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name]) => name);
  if (names.every((name) => SILENT.has(name))) return undefined;
  return { type: "unsupported", text: textIn(message) };
}

/** Voice, photos and videos may say of themselves that they are shown once. */
function isOnce({ imageMessage, videoMessage, audioMessage }: proto.IMessage): boolean {
  return Boolean(imageMessage?.viewOnce || videoMessage?.viewOnce || audioMessage?.viewOnce);
}

/** The quote, the forwarding mark and the like of whichever kind this is. */
function contextOf(message: proto.IMessage): proto.IContextInfo | undefined {
  for (const value of Object.values(message) as unknown[]) {
    if (typeof value !== "object" || value === null || !("contextInfo" in value)) continue;
    if (value.contextInfo) return value.contextInfo;
  }
  return undefined;
}

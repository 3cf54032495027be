/**
 * From one decrypted part of a stanza to what happened, in the product's words. Pure: the same entry of the
 * journal leads to the same answer, today or after a crash.
 */
import { proto, toNumber, unpadRandomMax16 } from "@whiskeysockets/baileys";
import type { MissingReason, StanzaPart } from "../stanzas.ts";
import { contentOf, type Changed } from "./contents.ts";
import type { Said } from "./kinds.ts";
import { routeOf, type Route } from "./people.ts";

/** How WhatsApp marks the stanza of an admin who deletes what somebody else wrote. */
const ADMIN_REVOKE = "8";

/** Nobody could read it, here; `reason` tells whether it may still come. */
export type Missing = { kind: "waiting"; reason: MissingReason };

export type Happened = Route & {
  providerMessageId: string;
  at: Date;
  what: Said | Changed | Missing;
};

/**
 * What a part of a stanza tells; nothing, one thing, or several when the phone sends what had been missing.
 * `receivedAt` stands in for a time that WhatsApp did not give.
 */
export function normalise(
  part: StanzaPart,
  plaintext: Uint8Array | undefined,
  receivedAt: Date,
): Happened[] {
  if (part.missing !== undefined || plaintext === undefined) {
    return missing(part, part.missing ?? "undecryptable", receivedAt);
  }
  const decoded = decode(plaintext);
  // The account's own devices talk among themselves; of that only what had been missing is of interest.
  if (part.attrs["category"] === "peer") {
    return part.isOwn && decoded ? resent(decoded, receivedAt) : [];
  }
  const unreadable: Said = {
    kind: "message",
    type: "unsupported",
    text: null,
    media: null,
    quotes: null,
    content: {},
  };
  const message = decoded && innerOf(decoded);
  return happened(part, message ? contentOf(message) : unreadable, receivedAt);
}

function happened(
  part: StanzaPart,
  what: Happened["what"] | undefined,
  receivedAt: Date,
): Happened[] {
  const providerMessageId = part.attrs["id"];
  const route = routeOf(part);
  if (!what || !route || !providerMessageId) return [];
  const seconds = Number(part.attrs["t"]);
  const at = seconds > 0 ? new Date(seconds * 1_000) : receivedAt;
  const isByAdmin = what.kind === "deleted" && part.attrs["edit"] === ADMIN_REVOKE;
  const told = isByAdmin ? { ...what, isByAdmin } : what;
  return [{ ...route, providerMessageId, at, what: told }];
}

function missing(part: StanzaPart, reason: MissingReason, receivedAt: Date): Happened[] {
  const isHidden = part.enc["decrypt-fail"] === "hide" || part.attrs["category"] === "peer";
  return isHidden ? [] : happened(part, { kind: "waiting", reason }, receivedAt);
}

function decode(padded: Uint8Array): proto.IMessage | undefined {
  try {
    return proto.Message.decode(unpadRandomMax16(padded));
  } catch {
    return undefined;
  }
}

/** What the number's own phone wrote comes in an envelope, which may hold the secret of a poll instead of the poll. */
function innerOf(message: proto.IMessage): proto.IMessage {
  const inner = message.deviceSentMessage?.message;
  if (!inner) return message;
  const messageContextInfo = inner.messageContextInfo ?? message.messageContextInfo;
  return messageContextInfo ? { ...inner, messageContextInfo } : inner;
}

/** The phone's answer to the library's request for messages of which this device had no copy. */
function resent(message: proto.IMessage, receivedAt: Date): Happened[] {
  const answer = message.protocolMessage?.peerDataOperationRequestResponseMessage;
  return (answer?.peerDataOperationResult ?? []).flatMap(({ placeholderMessageResendResponse }) => {
    const bytes = placeholderMessageResendResponse?.webMessageInfoBytes;
    if (!bytes) return [];
    const info = proto.WebMessageInfo.decode(bytes);
    const chat = info.key?.remoteJid;
    if (!chat || !info.message) return [];
    const isOwn = info.key?.fromMe === true;
    const participant = info.key?.participant || info.participant;
    const attrs = {
      from: chat,
      id: info.key?.id ?? "",
      t: String(toNumber(info.messageTimestamp)),
      ...(participant ? { participant } : {}),
      ...(isOwn ? { recipient: chat } : {}),
      ...(info.pushName ? { notify: info.pushName } : {}),
    };
    return happened({ attrs, enc: {}, isOwn }, contentOf(info.message), receivedAt);
  });
}

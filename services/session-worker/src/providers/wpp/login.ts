/**
 * A WPP number is connected when its server says so. Its session is started if it does not run; while it waits to be
 * scanned its QRs are told of. Webhooks only make us ask sooner.
 */
import type { Phone } from "@manyline/contracts";
import type { Send } from "@manyline/db";
import {
  FileGoneError,
  type LoginConnection,
  type LoginHandlers,
  type NumberRef,
  type SendOutcome,
} from "../provider.ts";
import { WppError } from "./errors.ts";
import { type WppLine, NotOfferedError } from "./line.ts";
import { endIfForeign, lookAgainLater } from "./open.ts";
import { isConfigured, lineOf, note, webhookUrlOf, type WppParts } from "./parts.ts";
import { type Watched, watchLine } from "./watch.ts";

export async function openWppLogin(
  number: NumberRef,
  parts: WppParts,
  handlers: LoginHandlers,
): Promise<LoginConnection | undefined> {
  const known = await parts.store.load(number.fence);
  if (!known?.client || !isConfigured(known.server, parts)) return undefined;
  const line = lineOf({ ...known, client: known.client }, number, parts);
  const start: WppLine["start"] = async (webhookUrl) => {
    const started = await line.start(webhookUrl);
    void endIfForeign(number, line, parts);
    return started;
  };
  const watched = watchLine(
    { ...line, start },
    {
      webhookUrl: webhookUrlOf(known.webhookKey, parts),
      onOpen: (phone, asOf) => handlers.onOpen((phone ?? undefined) as Phone | undefined, asOf),
      onAlive: (asOf) => handlers.onAlive?.(asOf),
      mayScan: () => handlers.mayScan?.() ?? true,
      onQr: (qr, asOf) => handlers.onQr(qr, asOf),
      onClosed: (end) => handlers.onClosed(end),
      onUnread: (unread) => handlers.onUnread?.(line.session, unread),
      onFailed: (what, error) => note(number, parts.logger, `wpp.${what}_failed`, error),
    },
  );
  return {
    isRepeatable: false,
    close: () => {
      watched.stop();
      // A number may be removed or made anew while it is brought up: what was started would run on, known to nobody.
      void endIfForeign(number, line, parts);
    },
    nudge: (event) => watched.nudge(event),
    heard: () => undefined,
    send: (send) => trySend(line, number, send, parts, watched),
    askTimelock: () => Promise.resolve(undefined),
    checkPhones: (phones) => line.checkPhones(phones),
    markRead: async (chat, messages) => {
      await line.markRead(chat, messages);
    },
    showTyping: async (chat, state) => {
      await line.showTyping(chat, state);
    },
    logout: async () => {
      watched.stop();
      try {
        await line.logout();
        lookAgainLater(number, line, parts);
        return true;
      } catch (error) {
        note(number, parts.logger, "wpp.logout_failed", error);
        return false;
      }
    },
  };
}

/** What a file at the platform is sent as must be fetched first: a line over this is not asked to hold it whole. */
async function bytesOf(number: NumberRef, send: Send, { files }: WppParts): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await files.open(number, send)) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

async function trySend(
  line: WppLine,
  number: NumberRef,
  send: Send,
  parts: WppParts,
  watched: Watched,
): Promise<SendOutcome> {
  try {
    const id = await line.send(send, {
      bytes: () => bytesOf(number, send, parts),
      link: () => {
        if (!parts.linkOf) throw new FileGoneError("the server reaches none of our files");
        return parts.linkOf(number, send);
      },
    });
    return { kind: "taken", at: new Date(), ...(id === null ? {} : { providerMessageId: id }) };
  } catch (error) {
    note(number, parts.logger, "wpp.send_failed", error);
    if (error instanceof FileGoneError) return { kind: "impossible", error: "MEDIA_UNAVAILABLE" };
    if (error instanceof NotOfferedError) return { kind: "impossible", error: "NOT_ACCEPTED" };
    // A file that cannot be read now: nothing has left.
    if (!(error instanceof WppError)) return { kind: "lost", mayHaveLeft: false, isOver: false };
    const outcome = outcomeOf(error, watched);
    // A no is the message's own only while the number is connected: else nothing has left, and it waits.
    return outcome.kind === "refused" && (await isDown(line))
      ? { kind: "lost", mayHaveLeft: false, isOver: false }
      : outcome;
  }
}

/** Whether the server says that the session is not connected; "Account is offline" looks like any other no. */
async function isDown(line: WppLine): Promise<boolean> {
  try {
    return (await line.status()) !== "connected";
  } catch {
    return false;
  }
}

const BUSY_MS = 30_000;

function outcomeOf(error: WppError, watched: Watched): SendOutcome {
  switch (error.kind) {
    case "busy":
      return { kind: "later", inMs: error.retryAfterMs ?? BUSY_MS };
    case "key_invalid":
    case "unauthorised":
      watched.nudge("refused");
      return { kind: "lost", mayHaveLeft: false, isOver: false };
    case "not_found":
      // The platform has no such call or message; WPPConnect has no such session now.
      watched.nudge("not_found");
      return { kind: "refused", code: "404" };
    case "refused":
      watched.nudge("refused");
      return { kind: "refused", code: error.httpStatus === 400 ? "404" : "400" };
    case "gateway_timeout":
    case "key_not_active":
    case "key_reused":
    case "unreachable":
    case "unreadable":
      return { kind: "lost", mayHaveLeft: error.mayHaveLeft, isOver: false };
  }
}

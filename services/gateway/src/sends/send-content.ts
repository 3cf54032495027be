import { ManylineError } from "@manyline/contracts";
import type { Media, SendMessage } from "@manyline/contracts";
import type { SendInput } from "@manyline/db";
import type { SignalMessage } from "./send-body.ts";

/** What is queued of a body, besides to whom. */
export type Said = Required<Pick<SendInput, "type" | "text" | "content">>;

/** The event that tells of it must stay below the limit of events, with room for what else it holds. */
const MOST_BYTES = 200_000;

/** Throws PAYLOAD_TOO_LARGE. `file`: of a message that has one. */
export function said(body: Exclude<SendMessage, SignalMessage>, file: Media | undefined): Said {
  const parts = partsOf(body, file);
  const bytes = Buffer.byteLength(JSON.stringify(parts));
  if (bytes > MOST_BYTES) {
    const detail = `Text and fields of a message are at most ${MOST_BYTES} bytes.`;
    throw new ManylineError("PAYLOAD_TOO_LARGE", { detail });
  }
  return parts;
}

function partsOf(body: Exclude<SendMessage, SignalMessage>, media: Media | undefined): Said {
  const { type } = body;
  const file = media === undefined ? {} : { media };
  switch (body.type) {
    case "text":
    case "edit":
      return { type, text: body.text, content: {} };
    case "image":
    case "video":
    case "document":
      return { type, text: body.caption ?? null, content: { ...file, ...viewOnce(body) } };
    case "voice":
    case "audio":
    case "sticker":
      return { type, text: null, content: { ...file, ...viewOnce(body) } };
    case "location":
      return { type, text: null, content: { location: body.location } };
    case "contact":
      return { type, text: null, content: { contacts: body.contacts } };
    case "poll": {
      const { name, options, selectable = 1 } = body.poll;
      return { type, text: name, content: { poll: { name, options, selectable } } };
    }
    case "template":
      return { type, text: null, content: { template: body.template } };
    case "interactive":
      return { type, text: null, content: { interactive: body.interactive } };
    case "reaction":
      return { type, text: null, content: { emoji: body.emoji } };
    case "delete":
      return { type, text: null, content: {} };
  }
}

function viewOnce(body: object): { isViewOnce?: true } {
  return "isViewOnce" in body && body.isViewOnce === true ? { isViewOnce: true } : {};
}

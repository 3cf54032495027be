/** Entries of the journal as the items that are committed for them. */
import type { InboundItem, PersonInput } from "@manyline/db";
import type { Received, Told } from "../../provider.ts";
import { unpackPart } from "../stanzas.ts";
import { normalise, type Happened } from "./normalise.ts";
import type { Author } from "./people.ts";

export function tell(entry: Received): Told {
  const part = unpackPart(entry.attrs);
  const happened = normalise(part, entry.plaintext, entry.receivedAt);
  const isForEngine = part.attrs["category"] === "peer" && part.missing === undefined;
  return { items: happened.map(itemOf), isForEngine };
}

function itemOf({ chat, from, providerMessageId, at, what }: Happened): InboundItem {
  const stanza = {
    providerMessageId,
    chat: chat.type === "group" ? { type: "group" as const, providerChatId: chat.groupId } : chat,
    from: personOf(from),
    at,
  };
  switch (what.kind) {
    case "message": {
      const { type, text, content, media, quotes } = what;
      return {
        ...stanza,
        kind: "message",
        event: from === "number" ? "echoed" : "received",
        type,
        text,
        content,
        media: media && { ...media.facts, source: Buffer.from(JSON.stringify(media.source)) },
        context: quotes === null ? null : { providerMessageId: quotes },
      };
    }
    case "waiting": {
      const content = what.reason === "view_once" ? { isViewOnce: true } : {};
      return { ...stanza, kind: "message", event: "waiting", type: "unknown", text: null, content };
    }
    case "reaction":
      return { ...stanza, kind: "reaction", target: what.target, emoji: what.emoji };
    case "edited":
      return { ...stanza, kind: "edit", target: what.target, text: what.text };
    case "deleted":
      return { ...stanza, kind: "delete", target: what.target };
  }
}

function personOf(author: Author): PersonInput | null {
  return author === "number" ? null : author;
}

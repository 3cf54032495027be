/** Entries of the journal as the items that are committed for them. */
import type { Fence, InboundItem, PersonInput } from "@manyline/db";
import type { Received, Told } from "../../provider.ts";
import type { AuthStore } from "../auth-store.ts";
import { unpackPart, type StanzaPart } from "../stanzas.ts";
import { normalise, type Happened } from "./normalise.ts";
import type { Author } from "./people.ts";
import { keepPollSecret, readVote } from "./votes.ts";

export function tell(entry: Received, store: AuthStore): Told {
  const part = unpackPart(entry.attrs);
  const happened = normalise(part, entry.plaintext, entry.receivedAt);
  const isForEngine = part.attrs["category"] === "peer" && part.missing === undefined;
  const told = { items: happened.map(itemOf), isForEngine };
  const isAboutPoll = happened.some(
    ({ what }) => what.kind === "message" && (what.vote ?? what.pollSecret),
  );
  if (!isAboutPoll) return told;
  return {
    ...told,
    complete: (fence) =>
      Promise.all(happened.map(async (one) => itemOf(await withPoll(store, fence, one, part)))),
  };
}

/** Keeps the secret of a poll, or reads a vote with it. */
async function withPoll(
  store: AuthStore,
  fence: Fence,
  one: Happened,
  part: StanzaPart,
): Promise<Happened> {
  const { what, providerMessageId } = one;
  if (what.kind !== "message") return one;
  const { pollSecret, vote, content } = what;
  if (pollSecret) await keepPollSecret(store, fence, providerMessageId, pollSecret);
  if (!vote) return one;
  const options = await readVote(store, fence, vote, part);
  const pollVote = { providerMessageId: vote.pollId, options };
  return { ...one, what: { ...what, content: { ...content, pollVote } } };
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
      return {
        ...stanza,
        kind: "delete",
        target: what.target,
        ...(what.isByAdmin === true ? { isByAdmin: true } : {}),
      };
  }
}

function personOf(author: Author): PersonInput | null {
  return author === "number" ? null : author;
}

import { createHash } from "node:crypto";
import type { WppItem, WppMedia } from "./types.ts";

/** Arrivals without an id count as one within so many ms. */
const BUCKET_MS = 60_000;

/**
 * By what the same piece is known when it comes again, within its number: event, message, kind, and of a reaction
 * the emoji. What has no id is known by what it says and the minute it came in.
 */
export function wppDedupeKey({ facts, input }: WppItem, arrivedAt: Date): string {
  const { event, messageId, type, from, text } = facts;
  if (messageId !== null) {
    const emoji = event === "message.reaction" ? [text ?? ""] : [];
    return [event, messageId, type ?? "", ...emoji].join("|");
  }
  const bucket = Math.floor(arrivedAt.getTime() / BUCKET_MS);
  const media = input?.kind === "message" ? mediaDigest(input.media) : "";
  const parts = JSON.stringify([event, from, type, text, media, bucket]);
  return `${event}|${createHash("sha256").update(parts).digest("base64url")}`;
}

function mediaDigest(media: WppMedia | null): string {
  return media ? createHash("sha256").update(JSON.stringify(media.source)).digest("base64url") : "";
}

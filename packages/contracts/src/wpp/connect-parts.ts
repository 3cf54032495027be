/** What readers of WPPConnect's events have in common. */
import { timeOf } from "../meta/facts.ts";
import type { Json } from "../meta/json.ts";
import { addressOf, partyText } from "./address.ts";
import type { WppFacts, WppInput } from "./types.ts";

export type Read = { facts: Omit<WppFacts, "platform" | "session">; input: WppInput | null };
/** What the body says; `now` where it says no time. */
export type Reader = (body: Json, now: Date) => Read;

/** Nothing to tell. */
export function silent(type: string, who?: unknown): Read {
  const from = partyText(addressOf(who));
  return { facts: { event: "ignored", messageId: null, from, type, text: null }, input: null };
}

export function timeIn(body: Json, now: Date): Date {
  return timeOf(body["t"] ?? body["timestamp"] ?? body["offerTime"], now);
}

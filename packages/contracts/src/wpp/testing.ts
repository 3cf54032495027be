/** For tests of the normalisers. */
import assert from "node:assert/strict";
import { normaliseWppConnect } from "./connect.ts";
import { normaliseWppPlatform } from "./platform.ts";
import type { WppFacts, WppItem } from "./types.ts";

export const WPP_NOW = new Date("2026-11-21T12:00:00Z");

/** What the platform's webhook gives, which is one item. */
export function platform(body: unknown, account?: string): WppItem {
  const [item, ...more] = normaliseWppPlatform(body, { account, now: WPP_NOW });
  assert.ok(item && more.length === 0);
  return item;
}

export function connect(body: object): WppItem {
  return normaliseWppConnect({ session: "s-1", ...body }, WPP_NOW);
}

export function shortFacts({ facts }: WppItem): (string | null)[] {
  const { event, messageId, from, type, text } = facts;
  return [event, messageId, from, type, text];
}

export function sessionFacts({ session, event, type }: WppFacts): (string | null)[] {
  return [session, event, type];
}

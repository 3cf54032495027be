/** What WhatsApp does not let a number send for a while, though it stays connected. */
import { Type, type Static } from "typebox";
import { Timestamp, nullable, oneOf } from "./events/fields.ts";

/**
 * new_chats: only people it has a chat with can be written to; slow_down: it sent too fast, nothing can be sent.
 * Messages that cannot go wait in the queue; those of other chats go on.
 */
export const RESTRICTION_CODES = ["new_chats", "slow_down"] as const;
export type RestrictionCode = (typeof RESTRICTION_CODES)[number];

export const RestrictionField = Type.Object({
  code: oneOf(RESTRICTION_CODES),
  since: Timestamp,
  until: nullable(Timestamp),
});
export type Restriction = Static<typeof RestrictionField>;

/** What became of a message that was sent, in each server's words. */
import type { MessageType } from "../message.ts";
import type { WppStatusInput } from "./types.ts";
import { lookUp } from "./look-up.ts";

type State = WppStatusInput["state"];

const WORDS: Readonly<Record<string, State>> = {
  sent: "sent",
  server: "sent",
  delivered: "delivered",
  received: "delivered",
  device: "delivered",
  read: "read",
  viewed: "read",
  played: "played",
  deleted: "deleted",
  revoked: "deleted",
  failed: "failed",
  error: "failed",
  dead: "failed",
};

/** Undefined: it says nothing yet (queued, pending), or is no word of ours. */
export function stateOf(word: string | null): State | undefined {
  return word === null ? undefined : lookUp(WORDS, word.toLowerCase());
}

/** WhatsApp's own numbers: below 0 failed, 1 sent, 2 delivered, 3 read, 4 played; 0 pending and 5 peer tell nothing. */
export function stateOfAck(ack: number): State | undefined {
  if (ack < 0) return "failed";
  return ([undefined, "sent", "delivered", "read", "played"] as const)[ack];
}

/** The words of the facts are fewer: what was played was read, and what was selected is a text. */
export function factType(word: State | MessageType): string {
  if (word === "played") return "read";
  return word === "button_reply" || word === "list_reply" ? "text" : word;
}

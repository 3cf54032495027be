import { ManylineError } from "@manyline/contracts";
import type { Message } from "@manyline/contracts";
import type { ChangeMessage } from "./send-body.ts";

/** WhatsApp's phones take no edit that comes later. */
const EDIT_MS = 15 * 60_000;
const EDITABLE: ReadonlySet<string> = new Set(["text", "image", "video", "document"]);
const NEVER_SENT: ReadonlySet<string> = new Set(["failed", "expired"]);
const CHANGES: ReadonlySet<string> = new Set(["reaction", "edit", "delete"]);

/** Whether a message can be reacted to, edited or deleted. Throws NOT_CHANGEABLE that says why not. */
export function assertChangeable(message: Message, change: ChangeMessage["type"], now: Date): void {
  const why = obstacle(message, change, now);
  if (why !== undefined) throw new ManylineError("NOT_CHANGEABLE", { detail: why });
}

function obstacle(message: Message, change: ChangeMessage["type"], now: Date): string | undefined {
  if (CHANGES.has(message.type)) return `This is no message, it is a ${message.type}.`;
  if (message.deletedAt !== null) return "It was deleted.";
  if (NEVER_SENT.has(message.status)) return "It was never sent.";
  if (change === "reaction") return undefined;
  if (message.direction === "in") return "Somebody else wrote it.";
  if (change === "delete") return undefined;
  if (!EDITABLE.has(message.type)) return `A message of type ${message.type} has no text to edit.`;
  const isWaiting = message.status === "queued" || message.status === "sending";
  const sentAt = Date.parse(message.statusAt ?? message.at);
  if (!isWaiting && now.getTime() - sentAt > EDIT_MS) return "It is older than 15 minutes.";
  return undefined;
}

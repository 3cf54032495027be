/** An item as a row of facts, for people who compare and for the fixtures in `fixtures/wpp/expected.tsv`. */
import type { WppItem } from "./types.ts";

export const WPP_COLUMNS = [
  "platform",
  "session",
  "event",
  "message_id",
  "from",
  "type",
  "text",
] as const;

/** `-` stands for nothing, and a new line is written as `\n`. */
export function wppLine({ facts }: WppItem): string {
  const { platform, session, event, messageId, from, type, text } = facts;
  return [platform, session, event, messageId, from, type, text]
    .map((cell) => (cell ?? "-").replaceAll("\n", "\\n"))
    .join("\t");
}

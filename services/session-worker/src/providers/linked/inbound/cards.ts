/** Contact cards (vCard) as far as a consumer needs them. */
import type { MessageContent } from "@manyline/contracts";

type Card = NonNullable<MessageContent["contacts"]>[number];

/** The phones of a card: WhatsApp's own ids where it gives them, else the digits as written. */
export function cardOf(name: string | null | undefined, vcard: string | null | undefined): Card {
  // A set: a card may name a hundred thousand of them, and everybody's numbers wait meanwhile.
  const phones = new Set<string>();
  let fullName = "";
  // Long lines are folded: a line that begins with a blank continues the one before.
  for (const line of (vcard ?? "").replaceAll(/\r?\n[ \t]/g, "").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const key = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    const property = (key.split(";")[0] ?? "").split(".").at(-1)?.toUpperCase();
    if (property === "FN") fullName ||= value;
    if (property !== "TEL") continue;
    const digits = /waid=(\d+)/i.exec(key)?.[1] ?? value.replaceAll(/\D/g, "");
    if (digits !== "") phones.add(digits);
  }
  return { name: name || fullName, phones: [...phones], ...(vcard ? { vcard } : {}) };
}

/** Who a message is for, as people and programs write it. Pure. */
import { parseChatId, parseContactId, parsePhone } from "@manyline/contracts";
import type { Recipient } from "@manyline/db";

const LID = /^([0-9]{5,20})@lid$/;
const GROUP = /^[0-9]{5,25}(-[0-9]{5,15})?@g\.us$/;
const JID = /^([1-9][0-9]{5,14})@(?:s\.whatsapp\.net|c\.us)$/;

/**
 * `con_…`, `cht_…`, `…@lid`, `…@g.us`, `…@s.whatsapp.net`, else a phone number, which is read in the
 * company's country. Undefined: it is none of these.
 */
export function recipientOf(text: string, country: string | null): Recipient | undefined {
  const to = text.trim();
  const contactId = parseContactId(to);
  if (contactId !== undefined) return { contactId };
  const chatId = parseChatId(to);
  if (chatId !== undefined) return { chatId };
  if (GROUP.test(to)) return { groupId: to };
  const lid = LID.exec(to)?.[1];
  if (lid !== undefined) return { lid };
  const jid = JID.exec(to)?.[1];
  const phone = jid === undefined ? parsePhone(to, country) : parsePhone(`+${jid}`);
  return phone === undefined ? undefined : { phone };
}

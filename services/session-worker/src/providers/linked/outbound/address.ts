/** Where a message goes to. WhatsApp knows people by LID; a phone number alone is translated first. */
import type { ChatAddress } from "@manyline/contracts";
import {
  jidDecode,
  jidEncode,
  USyncQuery,
  USyncUser,
  type WASocket,
} from "@whiskeysockets/baileys";
import type { PhoneCheck } from "../../provider.ts";

/** `phoneJid`: the same person's number, where the chat goes by LID. */
export type Address = { jid: string; phoneJid?: string };

const pnJid = (phone: string): string => jidEncode(phone, "s.whatsapp.net");
const lidJid = (lid: string): string => jidEncode(lid, "lid");

/** Without asking WhatsApp. Undefined: neither a group nor a person. */
export function knownAddress({ phone, lid, groupId }: ChatAddress): Address | undefined {
  if (groupId !== null) return { jid: groupId };
  if (lid !== null) {
    return { jid: lidJid(lid), ...(phone === null ? {} : { phoneJid: pnJid(phone) }) };
  }
  return phone === null ? undefined : { jid: pnJid(phone) };
}

/**
 * The address to send to. A phone whose LID is not known is looked up, also to learn whether it is on WhatsApp
 * at all: messages to numbers that are not get accounts restricted. Undefined: it is not.
 */
export async function addressOf(
  sock: WASocket,
  to: ChatAddress,
  onPerson: (person: { phone: string; lid: string }) => void,
): Promise<Address | undefined> {
  const known = knownAddress(to);
  if (!known || to.groupId !== null || to.lid !== null || to.phone === null) return known;
  const { phone } = to;
  const { [phone]: stored } = await sock.authState.keys.get("lid-mapping", [phone]);
  if (stored !== undefined) {
    onPerson({ phone, lid: stored });
    return { jid: lidJid(stored), phoneJid: known.jid };
  }
  const [found] = await lookUp(sock, [phone]);
  if (found?.isOnWhatsapp !== true) return undefined;
  if (found.lid === null) return { jid: pnJid(found.canonical) };
  onPerson({ phone, lid: found.lid });
  return { jid: lidJid(found.lid), phoneJid: pnJid(found.canonical) };
}

/**
 * Whether this address is the chat that a message was sent to. Whoever asks for a message once more names its id
 * and a chat of theirs; the library sends it there without a second look.
 */
export async function isChatOf(sock: WASocket, jid: string, to: ChatAddress): Promise<boolean> {
  if (to.groupId !== null) return jid === to.groupId;
  const { user, server } = jidDecode(jid) ?? {};
  if (user === undefined) return false;
  const lidOf = async (phone: string): Promise<string | undefined> =>
    (await sock.authState.keys.get("lid-mapping", [phone]))[phone];
  if (server === "s.whatsapp.net") {
    return user === to.phone || (to.lid !== null && (await lidOf(user)) === to.lid);
  }
  if (server !== "lid") return false;
  return user === to.lid || (to.phone !== null && (await lidOf(to.phone)) === user);
}

/** `canonical`: as WhatsApp writes the number, which in a few countries differs from how people do. */
type Found = PhoneCheck & { canonical: string };

/** Which phones have accounts, in the order asked. Rejects without an answer. */
export async function lookUp(sock: WASocket, phones: readonly string[]): Promise<Found[]> {
  const query = new USyncQuery().withContactProtocol().withLIDProtocol();
  for (const phone of phones) query.withUser(new USyncUser().withPhone(`+${phone}`));
  const answer = await sock.executeUSyncQuery(query);
  if (!answer) throw new Error("WhatsApp did not say who has an account");
  // Answered in the order asked; where one is left out, by number.
  const isComplete = answer.list.length === phones.length;
  const pairs: { lid: string; pn: string }[] = [];
  const found = phones.map((phone, index) => {
    const one = isComplete
      ? answer.list[index]
      : answer.list.find(({ id }) => jidDecode(id)?.user === phone);
    const lid = typeof one?.["lid"] === "string" ? jidDecode(one["lid"]) : undefined;
    const canonical = (one && jidDecode(one.id)?.user) ?? phone;
    if (lid) pairs.push({ lid: lidJid(lid.user), pn: pnJid(canonical) });
    return { phone, canonical, isOnWhatsapp: one?.["contact"] === true, lid: lid?.user ?? null };
  });
  if (pairs.length > 0) await sock.signalRepository.lidMapping.storeLIDPNMappings(pairs);
  return found;
}

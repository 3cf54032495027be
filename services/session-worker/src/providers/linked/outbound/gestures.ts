/** What shows on the other side without being a message. */
import type { WASocket } from "@whiskeysockets/baileys";
import type { ReadMessage, TypingState } from "../../provider.ts";
import { knownAddress, type Address } from "./address.ts";

/** The writers see that their messages were read, as far as the account lets that be known. */
export async function markRead(
  sock: WASocket,
  address: Address | undefined,
  messages: readonly ReadMessage[],
): Promise<void> {
  if (!address) return;
  const { jid } = address;
  const isGroup = jid.endsWith("@g.us");
  await sock.readMessages(
    messages.map(({ providerMessageId, phone, lid }) => {
      const author = isGroup ? knownAddress({ phone, lid, groupId: null })?.jid : undefined;
      return {
        remoteJid: jid,
        id: providerMessageId,
        fromMe: false,
        ...(author === undefined ? {} : { participant: author }),
      };
    }),
  );
}

const PRESENCES = { typing: "composing", recording: "recording", paused: "paused" } as const;

export async function showTyping(
  sock: WASocket,
  address: Address | undefined,
  state: TypingState,
): Promise<void> {
  if (address) await sock.sendPresenceUpdate(PRESENCES[state], address.jid);
}

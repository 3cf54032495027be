/** What lives for a moment only: marks of reading, typing, and asking whether phones are on WhatsApp. */
import { ManylineError, parsePhone } from "@manyline/contracts";
import type { ChatAddress, CheckAnswer, SendMessage } from "@manyline/contracts";
import { addressOf, inboundKeys, lastInboundId, withCompany } from "@manyline/db";
import type { NumberRow, Tx } from "@manyline/db";
import type { QueuedCommand } from "../command-runner.ts";
import type { Deps } from "../deps.ts";
import { assertCan, lineFor, recipient } from "./sender.ts";
import type { Caller } from "./sender.ts";
import type { SignalMessage } from "./send-body.ts";

type SignalDeps = Pick<Deps, "appDb" | "commands">;
/** Of these queues the owner takes one after another, beside what the number itself is asked. */
const QUEUES = { signals: "signals", check: "check" } as const;

/**
 * Resolves when the owner has done it. Throws NO_OWNER, NOT_CONNECTED, COMMAND_TIMEOUT; INVALID_RECIPIENT,
 * CHAT_NOT_FOUND, CONTACT_NOT_FOUND, MESSAGE_NOT_FOUND.
 */
export async function signal(deps: SignalDeps, caller: Caller, body: SignalMessage): Promise<void> {
  const command = await withCompany(deps.appDb, caller.tenant.companyNo, async (tx) => {
    const { company, number } = await lineFor(tx, caller);
    assertCan(number, body.type);
    if (body.type === "read") return markRead(deps, tx, number, body);
    const to = recipient(body.to, company);
    const chat = await addressOf(tx, number, to);
    if (!chat) throw new ManylineError("chatId" in to ? "CHAT_NOT_FOUND" : "CONTACT_NOT_FOUND");
    const { state } = body;
    const lastMessageId =
      number.provider === "meta" ? await lastInboundId(tx, number, to) : undefined;
    return deps.commands.enqueue(
      tx,
      number,
      "show_typing",
      { chat, state, ...(lastMessageId === undefined ? {} : { lastMessageId }) },
      { queue: QUEUES.signals },
    );
  });
  await deps.commands.result(command);
}

async function markRead(
  deps: SignalDeps,
  tx: Tx,
  number: NumberRow,
  { messageIds }: Extract<SendMessage, { type: "read" }>,
): Promise<QueuedCommand> {
  const keys = await inboundKeys(tx, number, messageIds);
  const [first] = keys;
  const known = new Set(keys.map(({ messageId }) => messageId));
  const missing = messageIds.find((messageId) => !known.has(messageId));
  const isOneChat = keys.every(({ chatId }) => chatId === first?.chatId);
  if (!first || missing !== undefined || !isOneChat) {
    const detail =
      missing === undefined
        ? "The messages are not all of one chat."
        : `Nobody wrote ${missing} to this number.`;
    throw new ManylineError("MESSAGE_NOT_FOUND", { detail });
  }
  const chat: ChatAddress | undefined = await addressOf(tx, number, { chatId: first.chatId });
  if (!chat) throw new ManylineError("CHAT_NOT_FOUND");
  const messages = keys.map(({ providerMessageId, phone, lid }) => ({
    providerMessageId,
    phone,
    lid,
  }));
  return deps.commands.enqueue(
    tx,
    number,
    "mark_read",
    { chat, messages },
    { queue: QUEUES.signals },
  );
}

/** In the order asked. What is no phone number is not on WhatsApp. Throws NO_OWNER, NOT_CONNECTED, COMMAND_TIMEOUT. */
export async function checkPhones(
  deps: SignalDeps,
  caller: Caller,
  given: readonly string[],
): Promise<CheckAnswer["results"]> {
  const { asked, command } = await withCompany(deps.appDb, caller.tenant.companyNo, async (tx) => {
    const { company, number } = await lineFor(tx, caller);
    assertCan(number, "check_phones");
    const read = given.map((text) => ({ text, phone: parsePhone(text, company.country) ?? null }));
    const phones = [...new Set(read.flatMap(({ phone }) => phone ?? []))];
    const queued =
      phones.length === 0
        ? undefined
        : await deps.commands.enqueue(
            tx,
            number,
            "check_phones",
            { phones },
            { queue: QUEUES.check },
          );
    return { asked: read, command: queued };
  });
  const found = command ? resultsOf(await deps.commands.result(command)) : new Map();
  return asked.map(({ text, phone }) => {
    const result = phone === null ? undefined : found.get(phone);
    return {
      given: text,
      phone,
      isOnWhatsapp: result?.isOnWhatsapp === true,
      lid: typeof result?.lid === "string" ? result.lid : null,
    };
  });
}

type Found = { readonly phone?: unknown; readonly isOnWhatsapp?: unknown; readonly lid?: unknown };

function resultsOf({ results }: Record<string, unknown>): Map<unknown, Found> {
  if (!Array.isArray(results)) throw new ManylineError("INTERNAL");
  return new Map((results as Found[]).map((result) => [result.phone, result]));
}

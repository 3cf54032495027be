/** Commands that are done over the open connection and answered with what WhatsApp says. */
import type { CommandArgs } from "@manyline/contracts";
import type { CommandRow } from "@manyline/db";
import type { LoginConnection } from "../providers/provider.ts";

export type ErrandVerb = "check_phones" | "mark_read" | "show_typing";

/** The result. Rejects when WhatsApp does not answer. The gateway has checked the arguments. */
export async function runErrand(
  connection: LoginConnection,
  verb: ErrandVerb,
  { args }: CommandRow,
): Promise<object> {
  switch (verb) {
    case "check_phones": {
      const { phones } = args as CommandArgs<"check_phones">;
      return { results: await connection.checkPhones(phones) };
    }
    case "mark_read": {
      const { chat, messages } = args as CommandArgs<"mark_read">;
      await connection.markRead(chat, messages);
      return {};
    }
    case "show_typing": {
      const { chat, state } = args as CommandArgs<"show_typing">;
      await connection.showTyping(chat, state);
      return {};
    }
  }
}

/** A line in the log for each step with Meta: for which company and number, to whom, with which token. */
import { createHash } from "node:crypto";
import { maskPhone } from "@manyline/contracts";
import type { Send } from "@manyline/db";
import type { Logger } from "@manyline/runtime";
import type { NumberRef } from "../provider.ts";
import { GraphRefusal } from "./graph.ts";

export type StepName =
  | "token_read"
  | "confirmed"
  | "facts"
  | "uploaded"
  | "sent"
  | "read"
  | "typing"
  | "file_resolved"
  | "checked"
  | "token_end";

export type Steps = {
  /** `error`: it did not work. */
  note(step: StepName, more?: { send?: Send; error?: unknown; check?: string }): void;
};

/** NULL, EMPTY, or SET and how long it is: all that anybody is ever shown of a token. */
export function tokenState(token: string | undefined): string {
  if (token === undefined) return "NULL";
  return token === "" ? "EMPTY" : `SET (${token.length} chars)`;
}

/** Tells two tokens apart without telling either. */
export function tokenHash(token: string | undefined): string | undefined {
  return token ? createHash("sha256").update(token).digest("hex").slice(0, 12) : undefined;
}

export function createSteps(
  logger: Logger,
  { companyId, numberId }: NumberRef,
  token: string | undefined,
): Steps {
  const who = {
    company_id: companyId,
    number_id: numberId,
    token: tokenState(token),
    token_hash: tokenHash(token),
  };
  return {
    note: (step, { send, error, check } = {}) => {
      const fields = {
        event: `meta.${step}`,
        ...who,
        ...(send ? { contact: contactOf(send), message_id: send.messageId } : {}),
        ...(check === undefined ? {} : { check }),
        ...(error instanceof GraphRefusal ? { code: error.code, subcode: error.subcode } : {}),
      };
      if (error === undefined) logger.info(fields, `meta ${step}`);
      else logger.warn({ ...fields, err: error }, `meta ${step} failed`);
    },
  };
}

/** The chat, and the phone with its middle left out. */
function contactOf({ chatId, phone }: Send): string {
  return phone === null ? chatId : `${chatId} ${maskPhone(phone)}`;
}

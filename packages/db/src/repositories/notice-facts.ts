/** What a notice needs to know: the readers of a company, its numbers, a code while it lives. Role notify. */
import type { WhatsappConfig } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { type Executor, rows } from "../open.ts";
import { readAttemptSecret } from "./pairing-attempts.ts";

export type NoticeReader = {
  companyNo: number;
  companyId: string;
  phone: string | null;
  adminEmail: string | null;
  notificationEmail: string | null;
  language: string;
  whatsappEnabled: boolean;
  whatsappConfig: WhatsappConfig;
};

/** By outer id; those that are gone are missing. */
export async function readReaders(
  executor: Executor,
  companyIds: readonly string[],
): Promise<Map<string, NoticeReader>> {
  const found = await rows(
    executor,
    sql<NoticeReader>`select company_no, company_id, phone, admin_email, notification_email, language,
        whatsapp_enabled, whatsapp_config
      from companies where company_id = any (${[...new Set(companyIds)]}::text[])`,
  );
  return new Map(found.map((reader) => [reader.companyId, reader]));
}

export type NoticeNumber = { companyNo: number; numberNo: number; numberId: string };

/** By outer id of the number, which is unique; those that are gone are missing. */
export async function readNoticeNumbers(
  executor: Executor,
  numbers: readonly { companyNo: number; numberId: string }[],
): Promise<Map<string, NoticeNumber>> {
  if (numbers.length === 0) return new Map();
  const found = await rows(
    executor,
    sql<NoticeNumber>`select n.company_no, n.number_no, n.number_id
      from unnest(${numbers.map((one) => one.companyNo)}::int[], ${numbers.map((one) => one.numberId)}::text[])
        as w (company_no, number_id)
      join numbers n on n.company_no = w.company_no and n.number_id = w.number_id`,
  );
  return new Map(found.map((number) => [`${number.companyNo} ${number.numberId}`, number]));
}

/** The code of an attempt and how long it still lives, by the clock it was made with. Never log it. */
export async function readNoticeCode(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  attemptId: string,
): Promise<string | undefined> {
  const secret = await readAttemptSecret(executor, keyring, companyNo, attemptId);
  return secret?.kind === "code" ? secret.value : undefined;
}

/** WPP numbers and their webhooks, for the tests of this service. */
import { readFileSync } from "node:fs";
import { type CompanyId, newNumberId, type NumberId } from "@manyline/contracts";
import {
  createNumber,
  enqueueMessage,
  inTransaction,
  type SendInput,
  withCompany,
} from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { addCompany, type Room, someId } from "./room.ts";

export type WppLine = {
  companyNo: number;
  companyId: string;
  numberNo: number;
  numberId: string;
  webhookKey: string;
  session: string;
};

/** A number with a session at a WPP server. */
export async function addWppLine(
  room: Room,
  session = `s${someId()}`,
  company?: { companyNo: number; companyId: string },
): Promise<WppLine> {
  const { companyNo, companyId } = company ?? (await addCompany(room));
  const { numberNo, numberId } = await inTransaction(room.platform, (tx) =>
    createNumber(tx, companyNo, {
      numberId: newNumberId(),
      provider: "wpp",
      phone: null,
      name: null,
      maxNumbers: 500,
    }),
  );
  const settings = JSON.stringify({ wppAccountNumber: session });
  const [row] = await asSuperuser(
    room.database,
    `update numbers set settings = '${settings}' where number_no = ${numberNo} returning webhook_key`,
  );
  const webhookKey = String(Object(row)["webhookKey"]);
  return { companyNo, companyId, numberNo, numberId, webhookKey, session };
}

/** Takes the session from the number, for another to have it. */
export async function endSession(room: Room, { numberNo }: WppLine): Promise<void> {
  await asSuperuser(
    room.database,
    `update numbers set settings = '{}' where number_no = ${numberNo}`,
  );
}

export async function postWpp(
  { url }: Pick<Room, "url">,
  key: string,
  body: unknown,
  query = "",
): Promise<number> {
  const isText = typeof body === "string" || Buffer.isBuffer(body);
  const answer = await fetch(`${url}/webhooks/wpp/${key}${query}`, {
    method: "POST",
    body: isText ? new Uint8Array(Buffer.from(body)) : JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  await answer.arrayBuffer();
  return answer.status;
}

/** As the platform tells of a message. */
export function platformMessage(line: Pick<WppLine, "session">, more: object = {}): object {
  const from = "79000000001";
  return {
    account: line.session,
    type: "chat",
    from: `+${from}`,
    raw_from: `${from}@c.us`,
    text: "hello",
    messageId: `false_${from}@c.us_${someId()}`,
    ...more,
  };
}

/** As WPPConnect tells of a message. */
export function connectMessage(line: Pick<WppLine, "session">, more: object = {}): object {
  const from = "5511900000001@c.us";
  return {
    event: "onmessage",
    session: line.session,
    id: `false_${from}_${someId()}`,
    type: "chat",
    body: "bom dia",
    t: Math.floor(Date.now() / 1_000),
    from,
    chatId: from,
    fromMe: false,
    isGroupMsg: false,
    ...more,
  };
}

const folder = new URL("../../../packages/contracts/fixtures/wpp/", import.meta.url);
export const readFixture = (file: string): string => readFileSync(new URL(file, folder), "utf8");

/** A message that is being sent: its name at the server is not known yet, or `name`. */
export async function sendOne(
  room: Room,
  line: WppLine,
  name?: string,
  more: Partial<SendInput> = {},
): Promise<string> {
  const { companyNo, numberNo, companyId, numberId } = line;
  const { messageId } = await withCompany(room.app, companyNo, (tx) =>
    enqueueMessage(tx, {
      companyNo,
      numberNo,
      companyId: companyId as CompanyId,
      numberId: numberId as NumberId,
      provider: "wpp",
      phone: null,
      service: "gateway",
      to: { phone: "79000000001" },
      type: "text",
      text: "Your visit is tomorrow",
      providerMessageId: name ?? `ours-${someId()}`,
      ...more,
    }),
  );
  await asSuperuser(
    room.database,
    `update messages set state = 'sending', is_open = true where message_id = '${messageId}'`,
  );
  return messageId;
}

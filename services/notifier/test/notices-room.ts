/** A notifier with sinks for its mails and SMS, companies whose people are to be told, and events of theirs. */
import { randomBytes } from "node:crypto";
import {
  type EventData,
  type EventDefinition,
  makeEvent,
  newAttemptId,
  type NumberId,
  numberAdded,
  pairingCodeIssued,
  parsePhone,
  sessionDisconnected,
} from "@manyline/contracts";
import {
  appendEvents,
  createNumber,
  type CompanyInput,
  inTransaction,
  type NotificationRow,
  listNotifications,
  withCompany,
} from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { newNumberId } from "@manyline/contracts";
import { type InboxSimulator, startInboxSimulator } from "@manyline/simulators/inbox";
import { addCompany, type Company, openRoom, type Room } from "./room.ts";

export type Desk = Room & { inbox: InboxSimulator };
export type Line = Company & {
  numberNo: number;
  numberId: NumberId;
  address: string;
  phone: string;
};

export async function openDesk(
  more: Record<string, string> = {},
  options: Parameters<typeof openRoom>[1] = {},
): Promise<Desk> {
  const inbox = await startInboxSimulator();
  const room = await openRoom(
    {
      SMTP_URL: inbox.smtpUrl,
      MAIL_FROM: "Manyline <notices@manyline.example>",
      TWILIO_URL: inbox.url,
      TWILIO_ACCOUNT_SID: inbox.account.sid,
      TWILIO_AUTH_TOKEN: inbox.account.token,
      TWILIO_FROM: "+15550100",
      PUBLIC_URL: "https://wa.example",
      NOTICE_TIMEOUT_MS: "1000",
      NOTICE_SWEEP_MS: "100",
      NOTICE_LOSS_MS: "400",
      NOTICE_GATHER_MS: "700",
      NOTICE_QUIET_MS: "60000",
      ...more,
    },
    options,
  );
  return {
    ...room,
    inbox,
    [Symbol.asyncDispose]: async () => {
      await room[Symbol.asyncDispose]();
      await inbox.close();
    },
  };
}

/** A company of its own reader, with one number, whose people want SMS. */
export async function addLine(desk: Desk, more: Partial<CompanyInput> = {}): Promise<Line> {
  const address = `desk-${randomBytes(4).toString("hex")}@salon.example`;
  const phone = `7900${String(Math.floor(Math.random() * 1e7)).padStart(7, "0")}`;
  const company = await addCompany(desk, {
    phone,
    adminEmail: address,
    whatsappConfig: { smsNotifications: true, smsProvider: "twilio" },
    ...more,
  });
  const numberId = newNumberId();
  const { numberNo } = await inTransaction(desk.platform, (tx) =>
    createNumber(tx, company.companyNo, {
      numberId,
      provider: "linked",
      name: "Front desk",
      phone,
      makePrimary: true,
      maxNumbers: 500,
    }),
  );
  return { ...company, numberNo, numberId, address, phone };
}

/** Commits an event of the number and publishes it. */
export async function tell<Definition extends EventDefinition>(
  desk: Desk,
  { companyNo, companyId, numberNo, numberId }: Line,
  definition: Definition,
  data: EventData<Definition>,
) {
  const event = makeEvent(definition, { companyId, numberId }, data, {
    service: "test",
    at: new Date(),
  });
  const stored = await inTransaction(desk.platform, (tx) =>
    appendEvents(tx, [{ companyNo, numberNo, event }]),
  );
  desk.deps.relay.publish(stored);
  return event;
}

/** A code that WhatsApp gave, sealed in its attempt as the owner of the number leaves it, and its event. */
export async function issueCode(
  desk: Desk,
  line: Line,
  {
    code,
    lifeMs = 60_000,
    switched = false,
  }: { code: string; lifeMs?: number; switched?: boolean },
) {
  const attemptId = newAttemptId();
  const sealer = await desk.deps.keyring.sealer(desk.deps.db, line.companyNo);
  const context = { numberNo: line.numberNo, kind: "pairing-code", key: attemptId };
  const sealed = sealer.seal(context, Buffer.from(code)).toString("hex");
  const issuedAt = new Date();
  const expiresAt = new Date(issuedAt.getTime() + lifeMs);
  await asSuperuser(
    desk.database,
    `insert into pairing_attempts (company_no, number_no, attempt_id, method, state, phone, max, epoch,
        secret_kind, secret, issued_at, expires_at)
      values (${line.companyNo}, ${line.numberNo}, '${attemptId}', 'code', 'code_issued', '${line.phone}', 3, 0,
        'code', '\\x${sealed}', now(), '${expiresAt.toISOString()}')`,
  );
  const phone = parsePhone(line.phone);
  if (phone === undefined) throw new Error("no phone");
  return tell(desk, line, pairingCodeIssued, {
    attemptId,
    phone,
    issuedAt: issuedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    validitySeconds: 60,
    codesLeft: 4,
    switched,
  });
}

export function disconnected(reason: "logged_out" | "reconnecting") {
  return {
    status: reason === "logged_out" ? ("disconnected" as const) : ("connecting" as const),
    reason,
    previousStatus: "connected" as const,
    since: new Date().toISOString(),
    provider: "linked" as const,
    phone: null,
    nextAction: "pair",
  };
}
export { numberAdded, sessionDisconnected };

export function noticesOfLine(desk: Desk, { companyNo }: Company): Promise<NotificationRow[]> {
  return withCompany(desk.app, companyNo, (tx) =>
    listNotifications(tx, companyNo, { limit: 1_000 }),
  );
}

export function mailsTo({ inbox }: Desk, address: string) {
  return inbox.mails.filter(({ to }) => to.includes(address));
}
export function textsTo({ inbox }: Desk, phone: string) {
  return inbox.texts.filter(({ to }) => to === `+${phone}`);
}

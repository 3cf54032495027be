/** Twilio's call that sends an SMS, as its clients see it; nothing is sent. */
import { randomBytes } from "node:crypto";
import type { SinkFault } from "./faults.ts";

export type ReceivedSms = {
  id: number;
  at: Date;
  sid: string;
  from: string;
  to: string;
  body: string;
};

export type TwilioAccount = { sid: string; token: string };
export type TwilioAnswer = { status: number; body: object; headers?: Record<string, string> };

const PATH = /^\/2010-04-01\/Accounts\/(AC[0-9a-f]{32})\/Messages\.json$/;
const LONGEST = 1_600;

export function twilioAccountIn(path: string): string | undefined {
  return PATH.exec(path)?.[1];
}

/** `take` keeps what is well said. */
export function answerTwilio(
  account: TwilioAccount,
  request: { sid: string; authorization: string | undefined; form: URLSearchParams },
  fault: SinkFault | undefined,
  take: (sms: Omit<ReceivedSms, "id" | "at">) => void,
): TwilioAnswer {
  const { sid, authorization, form } = request;
  const wanted = `Basic ${Buffer.from(`${account.sid}:${account.token}`).toString("base64")}`;
  if (authorization !== wanted) return refusal(401, 20003, "Authenticate");
  if (sid !== account.sid) return refusal(404, 20404, "The requested resource was not found");
  if (fault?.effect === "refuse") return refusalOf(fault);
  const to = form.get("To") ?? "";
  const from = form.get("From") ?? form.get("MessagingServiceSid") ?? "";
  const body = form.get("Body") ?? "";
  if (to === "") return refusal(400, 21604, "A 'To' phone number is required.");
  if (from === "") return refusal(400, 21603, "A 'From' phone number is required.");
  if (body === "") return refusal(400, 21602, "Message body is required.");
  if (body.length > LONGEST) return refusal(400, 21617, "The message body is too long.");
  if (!/^\+[1-9]\d{6,14}$/.test(to)) return refusal(400, 21211, "Invalid 'To' Phone Number");
  const made = `SM${randomBytes(16).toString("hex")}`;
  take({ sid: made, from, to, body });
  return {
    status: 201,
    body: {
      account_sid: sid,
      body,
      date_created: new Date().toUTCString(),
      direction: "outbound-api",
      error_code: null,
      error_message: null,
      from,
      num_segments: String(segmentsOf(body)),
      sid: made,
      status: "queued",
      to,
      uri: `/2010-04-01/Accounts/${sid}/Messages/${made}.json`,
    },
  };
}

/** How many an operator charges: 160 characters, or 70 as soon as one is none of the old alphabet. */
export function segmentsOf(body: string): number {
  const isPlain = /^[\n\r -_a-z¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùü]*$/.test(body);
  const [alone, each] = isPlain ? [160, 153] : [70, 67];
  return body.length <= alone ? 1 : Math.ceil(body.length / each);
}

const CODES: Readonly<Record<number, number>> = { 400: 21211, 401: 20003, 429: 20429, 500: 20500 };

function refusalOf({ status = 500, code }: SinkFault): TwilioAnswer {
  const answer = refusal(status, code ?? CODES[status] ?? 20500, "A fault was asked for");
  return status === 429 ? { ...answer, headers: { "retry-after": "1" } } : answer;
}

function refusal(status: number, code: number, message: string): TwilioAnswer {
  const body = { code, message, more_info: `https://www.twilio.com/docs/errors/${code}`, status };
  return { status, body };
}

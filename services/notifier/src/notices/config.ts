import { NOTICE_FIGURES } from "@manyline/contracts/notices";
import type { ConfigReader } from "@manyline/runtime";

export type NoticeConfig = ReturnType<typeof readNoticeConfig>;

const HTTP = { protocols: ["http:", "https:"] } as const;

/** How mail and SMS are sent. Without a provider what would go through it is noted as `not_configured`. */
export function readNoticeConfig(r: ConfigReader) {
  const smtpUrl = r.secret("SMTP_URL", {
    optional: true,
    meaning:
      "the mail server: `smtp://user:password@host:587` (add `?requireTLS=true`) or `smtps://…`; none: no mails",
  });
  r.check(
    smtpUrl === undefined || /^smtps?:\/\/[^/?]/.test(smtpUrl),
    "SMTP_URL must begin with smtp:// or smtps://",
    ["SMTP_URL"],
  );
  const smtpCa = r.string("SMTP_CA", {
    optional: true,
    pattern: /^-----BEGIN CERTIFICATE-----/,
    must: "be certificates in PEM",
    meaning:
      "PEM of the authorities that may have signed the mail server's certificate, instead of the well-known ones",
  });
  const mailFrom = r.string("MAIL_FROM", {
    default: "Manyline <manyline@localhost>",
    pattern: /^[^\r\n]*@[^\s>]+>?$/,
    must: "be an address, or a name and an address in angle brackets",
    meaning: "whom mails are from",
  });
  const accountSid = r.string("TWILIO_ACCOUNT_SID", {
    optional: true,
    pattern: /^AC[0-9a-f]{32}$/,
    must: "be AC and 32 hex digits",
    meaning: "the account for companies whose `smsProvider` is `twilio`",
  });
  const authToken = r.secret("TWILIO_AUTH_TOKEN", {
    optional: true,
    meaning: "of the account at Twilio",
  });
  const from = r.string("TWILIO_FROM", {
    optional: true,
    meaning: "whom SMS are from: `+15550100`, a name, or a messaging service `MG…`",
  });
  const url = r.url("TWILIO_URL", {
    default: "https://api.twilio.com",
    ...HTTP,
    meaning: "Twilio, or what stands in for it",
  });
  r.check(
    accountSid === undefined || (authToken !== undefined && from !== undefined),
    "TWILIO_ACCOUNT_SID needs TWILIO_AUTH_TOKEN and TWILIO_FROM",
    ["TWILIO_ACCOUNT_SID"],
  );
  const smsUrl = r.url("SMS_HTTP_URL", {
    optional: true,
    ...HTTP,
    meaning:
      "for companies whose `smsProvider` is `http`: takes SMS as JSON (docs/notifications.md)",
  });
  const smsToken = r.secret("SMS_HTTP_TOKEN", {
    optional: true,
    meaning: "bearer token for it",
  });
  const duration = (name: string, fallback: number, meaning: string): number =>
    r.durationMs(name, { default: fallback, min: 10, max: 86_400_000, meaning });
  return {
    smtpUrl,
    smtpCa,
    mailFrom,
    twilio:
      accountSid !== undefined && authToken !== undefined && from !== undefined
        ? { url, accountSid, authToken, from }
        : undefined,
    httpSms: smsUrl === undefined ? undefined : { url: smsUrl, token: smsToken },
    publicUrl: r.url("PUBLIC_URL", {
      optional: true,
      ...HTTP,
      meaning: "where people reach the gateway; without it notices have no link to the page",
    }),
    timeoutMs: duration(
      "NOTICE_TIMEOUT_MS",
      5_000,
      "ms that a mail server or SMS provider has for one notice",
    ),
    sweepMs: duration("NOTICE_SWEEP_MS", 500, "ms between two looks for notices that are due"),
    lossMs: duration(
      "NOTICE_LOSS_MS",
      NOTICE_FIGURES.lossMs,
      "ms that a number is away before somebody is told",
    ),
    gatherMs: duration(
      "NOTICE_GATHER_MS",
      NOTICE_FIGURES.gatherMs,
      "ms in which operational notices to one reader are gathered into one",
    ),
    quietMs: duration(
      "NOTICE_QUIET_MS",
      NOTICE_FIGURES.quietMs,
      "least ms between two operational notices to one reader; doubles with each of a day, up to 6 hours",
    ),
  };
}

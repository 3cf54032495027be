/** Who is told what of an event, by which way, and until when. Pure: the notifier asks, stores and sends. */
import type { Envelope } from "../events/envelope.ts";
import type { EventData } from "../events/define.ts";
import type { companyWebhookDisabled, numberAdded } from "../events/company.ts";
import type { numberRestricted, numberTokenExpiring } from "../events/number.ts";
import type {
  pairingCodeIssued,
  pairingPasskeyRequired,
  pairingRateLimited,
} from "../events/pairing.ts";
import type { Language, WhatsappConfig } from "../rest/companies.ts";
import { LANGUAGES } from "../rest/companies.ts";
import type { NoticeFacts } from "./render.ts";
import { TEXTS } from "./texts/index.ts";
import type { NoticeKind } from "./texts/shape.ts";

export const NOTICE_FIGURES = {
  /** A number that is away for less is nobody's business. */
  lossMs: 5 * 60_000,
  /** What happens to the same reader within this time goes into one mail. */
  gatherMs: 60_000,
  /** The least time between two operational mails to one reader; it doubles with each of a day, up to `mostQuietMs`. */
  quietMs: 15 * 60_000,
  mostQuietMs: 6 * 3_600_000,
  /** A code that lives shorter than this is not sent any more: it would arrive dead. */
  leastCodeLifeMs: 3_000,
  /** Between two tries to send a code: its provider may be back in a moment. */
  codeRetryMs: [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000],
  retryMs: [1_000, 5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000],
  /** An operational notice that could not be sent for so long is old news. */
  lifeMs: 24 * 3_600_000,
  /** The key of a page in a mail. */
  linkMs: 72 * 3_600_000,
} as const;

/** `everybody`: both addresses. `admin`: whoever has the say, or, without one, the other. */
const AUDIENCE: Readonly<Record<NoticeKind, "everybody" | "admin">> = {
  pairing_code: "everybody",
  switched_to_code: "everybody",
  phone_missing: "everybody",
  number_disconnected: "everybody",
  blocked: "everybody",
  passkey_required: "everybody",
  restricted: "everybody",
  token_expiring: "admin",
  number_added: "admin",
  endpoint_disabled: "admin",
};

/** These belong to somebody who is linking now: they are never gathered and die with their code. */
const URGENT: ReadonlySet<NoticeKind> = new Set([
  "pairing_code",
  "switched_to_code",
  "passkey_required",
]);

/** With a page of scope `pair` in it. */
const WITH_PAGE: ReadonlySet<NoticeKind> = new Set([
  "switched_to_code",
  "phone_missing",
  "number_disconnected",
  "blocked",
  "passkey_required",
]);

/** An SMS costs money and wakes people: only kinds that have a text for it. */
function isToldBySms(kind: NoticeKind): boolean {
  return TEXTS.en.notices[kind].sms !== undefined;
}

export function isUrgent(kind: NoticeKind): boolean {
  return URGENT.has(kind);
}
export function hasPage(kind: NoticeKind): boolean {
  return WITH_PAGE.has(kind);
}

/** What the rules look at of a company. */
export type Reader = {
  adminEmail: string | null;
  notificationEmail: string | null;
  phone: string | null;
  language: string;
  whatsappEnabled: boolean;
  whatsappConfig: Pick<WhatsappConfig, "smsNotifications" | "smsProvider">;
};

export type Addressee =
  | { channel: "email"; address: string }
  | { channel: "sms"; address: string; provider: string };

/** Equal addresses, however written, get one mail. An SMS goes to the company's own phone, never to one typed on a page. */
export function addresseesOf(kind: NoticeKind, reader: Reader): Addressee[] {
  if (!reader.whatsappEnabled) return [];
  const admin = plainAddress(reader.adminEmail);
  const other = plainAddress(reader.notificationEmail);
  const wanted = AUDIENCE[kind] === "admin" ? [admin ?? other] : [admin, other];
  const byKey = new Map<string, string>();
  for (const address of wanted) {
    if (address !== undefined && !byKey.has(addressKey(address)))
      byKey.set(addressKey(address), address);
  }
  const { smsNotifications, smsProvider } = reader.whatsappConfig;
  const hasSms = smsNotifications === true && smsProvider !== undefined && smsProvider !== "";
  return [
    ...[...byKey.values()].map((address) => ({ channel: "email" as const, address })),
    ...(hasSms && reader.phone !== null && isToldBySms(kind)
      ? [{ channel: "sms" as const, address: reader.phone, provider: smsProvider }]
      : []),
  ];
}

/** Two spellings of one mailbox have one key. */
export function addressKey(address: string): string {
  return address.trim().toLowerCase();
}

function plainAddress(text: string | null): string | undefined {
  const plain = text?.trim() ?? "";
  return plain === "" ? undefined : plain;
}

export function languageOf(text: string): Language {
  return LANGUAGES.find((language) => language === text) ?? "en";
}

/** `expiresAt`: after it nothing of it is sent. `attemptId`: where the code is read, and whose end ends the notice. */
export type Notice = {
  kind: NoticeKind;
  facts: NoticeFacts;
  expiresAt: Date;
  attemptId?: string;
};

/** The notices of one event; most events have none. Losses of sessions are judged by `stepLoss`. */
export function noticesOf(envelope: Envelope): Notice[] {
  const day = new Date(Date.parse(envelope.time) + NOTICE_FIGURES.lifeMs);
  switch (envelope.type) {
    case "pairing.code_issued": {
      const { attemptId, phone, expiresAt, switched } = envelope.data as EventData<
        typeof pairingCodeIssued
      >;
      const shared = {
        facts: { phone, time: expiresAt },
        expiresAt: new Date(expiresAt),
        attemptId,
      };
      const code: Notice = { ...shared, kind: "pairing_code" };
      return switched ? [code, { ...shared, kind: "switched_to_code" }] : [code];
    }
    case "pairing.passkey_required": {
      const { attemptId } = envelope.data as EventData<typeof pairingPasskeyRequired>;
      return [{ kind: "passkey_required", facts: {}, expiresAt: day, attemptId }];
    }
    case "pairing.rate_limited": {
      const { scope, until } = envelope.data as EventData<typeof pairingRateLimited>;
      if (scope !== "company") return [];
      return [{ kind: "blocked", facts: { time: until }, expiresAt: new Date(until) }];
    }
    case "company.phone_missing":
      return [{ kind: "phone_missing", facts: {}, expiresAt: day }];
    case "company.webhook_disabled": {
      const { host, failingSince, lastError } = envelope.data as EventData<
        typeof companyWebhookDisabled
      >;
      const facts = { host, time: failingSince, error: lastError };
      return [{ kind: "endpoint_disabled", facts, expiresAt: day }];
    }
    case "number.restricted": {
      const { phone, restriction } = envelope.data as EventData<typeof numberRestricted>;
      if (restriction === null) return [];
      const { until } = restriction;
      const end = until === null ? day : new Date(Math.min(Date.parse(until), day.getTime()));
      return [{ kind: "restricted", facts: { phone, until }, expiresAt: end }];
    }
    case "number.token_expiring": {
      const { expiresAt } = envelope.data as EventData<typeof numberTokenExpiring>;
      return [{ kind: "token_expiring", facts: { time: expiresAt }, expiresAt: day }];
    }
    case "number.added": {
      const { phone, name } = envelope.data as EventData<typeof numberAdded>;
      return [{ kind: "number_added", facts: { phone, numberName: name }, expiresAt: day }];
    }
    default:
      return [];
  }
}

/**
 * When to try again, or undefined: never. `tries`: how often it failed. A code's tries end while it still lives long
 * enough to be typed; nothing is sent after a notice's end.
 */
export function nextTry(
  kind: NoticeKind,
  tries: number,
  now: Date,
  expiresAt: Date,
): Date | undefined {
  const { codeRetryMs, retryMs } = NOTICE_FIGURES;
  const pauses: readonly number[] = isUrgent(kind) ? codeRetryMs : retryMs;
  const pause = pauses[tries - 1];
  if (pause === undefined) return undefined;
  const at = new Date(now.getTime() + pause);
  return mayBeSent(kind, at, expiresAt) ? at : undefined;
}

/** Judged right before each sending, by the same clock that the code's end was made with. */
export function mayBeSent(kind: NoticeKind, now: Date, expiresAt: Date): boolean {
  const margin =
    kind === "pairing_code" || kind === "switched_to_code" ? NOTICE_FIGURES.leastCodeLifeMs : 0;
  return now.getTime() + margin < expiresAt.getTime();
}

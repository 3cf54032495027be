/**
 * What is written to people, in one language. `{name}` is replaced; what goes into HTML is escaped there. No subject
 * has a place for a code: subjects are shown on locked screens.
 */
export type NoticeText = {
  subject: string;
  /** Paragraphs. One that is `{code}` alone is set large; `{url}` becomes a button. */
  body: string[];
  /** Left out: this kind is told by mail only. */
  sms?: string;
};

/** By the plural rules of the language, chosen from `{n}`. */
export type Plural = { one: string; few?: string; many?: string; other: string };

export const NOTICE_KINDS = [
  "pairing_code",
  "switched_to_code",
  "phone_missing",
  "number_disconnected",
  "blocked",
  "passkey_required",
  "restricted",
  "token_expiring",
  "number_added",
  "endpoint_disabled",
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/** Why a number is away, in the words of a notice; fewer than the reasons of a status. */
export const LOSS_REASONS = [
  "logged_out",
  "connection_lost",
  "replaced",
  "token_expired",
  "passkey_required",
  "locked",
  "ours",
  "unknown",
] as const;
export type LossReason = (typeof LOSS_REASONS)[number];

export type NoticeTexts = {
  notices: Record<NoticeKind, NoticeText>;
  reasons: Record<LossReason, { reason: string; tried: string; next: string }>;
  unknownEnd: string;
  button: string;
  footer: string;
  several: { subject: Plural; intro: string; more: Plural };
};

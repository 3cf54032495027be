/** Makes what people read out of the facts of a notice: subject, plain text, HTML, SMS. Pure. */
import { formatPhone, type Phone } from "../phone.ts";
import { formatPairingCode } from "../pairing.ts";
import type { Language } from "../rest/companies.ts";
import { htmlOf, type Paragraph } from "./html.ts";
import { TEXTS } from "./texts/index.ts";
import type { LossReason, NoticeKind, Plural } from "./texts/shape.ts";

/** What a notice says. Times are ISO texts, so that facts can be stored as JSON. The code is never among them. */
export type NoticeFacts = {
  /** E.164 digits; without one the number's name or id is written. */
  phone?: string | null;
  numberName?: string | null;
  /** The end of a code or of a pause, the begin of a loss, the end of a token. */
  time?: string;
  /** The end of a restriction; null: nobody knows. */
  until?: string | null;
  reason?: LossReason;
  /** Of a webhook's address. */
  host?: string;
  /** Of a webhook: what came last. */
  error?: string;
};

export type NoticeInput = {
  kind: NoticeKind;
  language: Language;
  timezone: string;
  company: string;
  /** For times: those of the same day are written without a date. */
  now: Date;
  facts: NoticeFacts;
  /** The page with its key. */
  url?: string;
  /** Only for `pairing_code`, as WhatsApp gave it; read from the attempt when it is sent. */
  code?: string;
};

/** `sms` undefined: this kind is told by mail only. */
export type RenderedNotice = { subject: string; text: string; html: string; sms?: string };

/** A code lives for a minute: its end is told to the second. */
const CODE_KINDS: ReadonlySet<NoticeKind> = new Set(["pairing_code", "switched_to_code"]);

const SUBJECT_COMPANY = 60;
const SMS_COMPANY = 15;
const SEVERAL_LINES = 20;

export function renderNotice(input: NoticeInput): RenderedNotice {
  const { kind, language } = input;
  const { notices, button, footer } = TEXTS[language];
  const { subject, body, sms } = notices[kind];
  const values = valuesOf(input);
  const code = input.code === undefined ? "" : formatPairingCode(input.code);
  const inBody = { ...values, code, url: input.url ?? "" };
  const paragraphs = body.flatMap((text): Paragraph[] => {
    if (text === "{code}") return [{ kind: "code", text: code }];
    const isLink = text.includes("{url}");
    if (isLink && input.url === undefined) {
      const plain = fill(text.replace("{url}", ""), inBody).trim();
      return plain === "" ? [] : [{ kind: "text", text: plain }];
    }
    if (!isLink) return [{ kind: "text", text: fill(text, inBody) }];
    const [before = "", after = ""] = text.split("{url}");
    return [
      ...textOf(fill(before, inBody)),
      { kind: "link" as const, url: inBody.url, label: button },
      ...textOf(fill(after, inBody)),
    ];
  });
  const end = fill(footer, values);
  // Three points, not an ellipsis: that one character would halve what an SMS holds.
  const company = cut(input.company, SMS_COMPANY, "...");
  const short = { ...inBody, ...valuesOf(input, false), company };
  return {
    // The values of the body are not given: a text that asks for the code here would show `{code}`.
    subject: fill(subject, { ...values, company: cut(input.company, SUBJECT_COMPANY) }),
    text: `${[...body.map((text) => fill(text, inBody).trim()).filter(Boolean), `-- \n${end}`].join("\n\n")}\n`,
    html: htmlOf(language, paragraphs, end),
    ...(sms === undefined ? {} : { sms: fill(sms, short).trim() }),
  };
}

/** One mail for several notices: a line for each, as its own subject would be. */
export function renderSeveral(inputs: readonly NoticeInput[], language: Language): RenderedNotice {
  const { several, footer } = TEXTS[language];
  const lines = inputs
    .slice(0, SEVERAL_LINES)
    .map((input) => renderNotice({ ...input, language }).subject);
  const rest = inputs.length - lines.length;
  if (rest > 0) lines.push(plural(several.more, rest, language));
  const companies = [...new Set(inputs.map(({ company }) => company))];
  const end = fill(footer, { company: cut(companies.join(", "), 200) });
  return {
    subject: plural(several.subject, inputs.length, language),
    sms: `${plural(several.subject, inputs.length, language)}. Manyline`,
    text: `${several.intro}\n\n${lines.map((line) => `* ${line}`).join("\n")}\n\n-- \n${end}\n`,
    html: htmlOf(
      language,
      [
        { kind: "text", text: several.intro },
        { kind: "list", lines },
      ],
      end,
    ),
  };
}

/** Without seconds an end is told too early, never too late; an SMS has no room for them. */
function valuesOf(input: NoticeInput, hasSeconds = CODE_KINDS.has(input.kind)) {
  const { language, timezone, company, now, facts } = input;
  const { reasons, unknownEnd } = TEXTS[language];
  const timeOf = (iso: string): string =>
    formatTime(new Date(iso), now, { language, timezone, hasSeconds });
  const { reason, tried, next } = reasons[facts.reason ?? "unknown"];
  return {
    company,
    phone: facts.phone ? formatPhone(facts.phone as Phone) : (facts.numberName ?? ""),
    time: facts.time === undefined ? "" : timeOf(facts.time),
    until: facts.until ? timeOf(facts.until) : unknownEnd,
    reason,
    tried,
    nextAction: next,
    host: facts.host ?? "",
    error: facts.error ?? "",
  };
}

type TimeForm = { language: Language; timezone: string; hasSeconds?: boolean };

/** `14:05`, and for another day `14:05, 21 Nov 2026`, in the zone of the company (UTC if there is no such zone). */
export function formatTime(at: Date, now: Date, form: TimeForm): string {
  const { language, timezone, hasSeconds = false } = form;
  const timeZone = knownZone(timezone);
  const time = at.toLocaleTimeString(language, {
    timeZone,
    hour: "2-digit",
    minute: "2-digit",
    ...(hasSeconds ? { second: "2-digit" as const } : {}),
    hourCycle: "h23",
  });
  const dayOf = (moment: Date): string =>
    moment.toLocaleDateString(language, {
      timeZone,
      day: "numeric",
      month: "short",
      year: "numeric",
    });
  const zone = timeZone === timezone ? "" : " UTC";
  return dayOf(at) === dayOf(now) ? `${time}${zone}` : `${time}${zone}, ${dayOf(at)}`;
}

function knownZone(timezone: string): string {
  try {
    Intl.DateTimeFormat("en", { timeZone: timezone });
    return timezone;
  } catch {
    return "UTC";
  }
}

/** One pass: what a value holds is never read as a placeholder. */
function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}

function plural(forms: Plural, n: number, language: Language): string {
  const category = new Intl.PluralRules(language).select(n);
  const form = Object.entries(forms).find(([name]) => name === category)?.[1] ?? forms.other;
  return fill(form, { n: String(n) });
}

/** To so many characters as people count them. */
function cut(text: string, length: number, mark = "…"): string {
  const characters = [...new Intl.Segmenter().segment(text)].map(({ segment }) => segment);
  return characters.length <= length
    ? text
    : `${characters.slice(0, length - mark.length).join("")}${mark}`;
}

function textOf(text: string): Paragraph[] {
  return text.trim() === "" ? [] : [{ kind: "text", text: text.trim() }];
}

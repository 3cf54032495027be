/** One notice of each kind, for golden files and for looking at them. */
import type { Language } from "../rest/companies.ts";
import { hasPage } from "./rules.ts";
import type { NoticeFacts, NoticeInput } from "./render.ts";
import { NOTICE_KINDS, type NoticeKind } from "./texts/shape.ts";

export const SAMPLE_CODE = "ABCDEFGH";
const NOW = new Date("2026-11-21T11:04:20.000Z");

const FACTS: Record<NoticeKind, NoticeFacts> = {
  pairing_code: { time: "2026-11-21T11:05:20.000Z" },
  switched_to_code: { time: "2026-11-21T11:05:20.000Z" },
  phone_missing: {},
  number_disconnected: { time: "2026-11-21T10:58:00.000Z", reason: "logged_out" },
  blocked: { time: "2026-11-21T11:34:20.000Z" },
  passkey_required: {},
  restricted: { until: "2026-11-22T06:00:00.000Z" },
  token_expiring: { time: "2026-11-28T06:00:00.000Z" },
  number_added: {},
  endpoint_disabled: {
    time: "2026-11-20T06:15:30.000Z",
    host: "hooks.salon.example",
    error: "503",
  },
};

/** A company whose name wants to be HTML. */
export function sampleNotices(language: Language): NoticeInput[] {
  return NOTICE_KINDS.map((kind) => {
    const input: NoticeInput = {
      kind,
      language,
      timezone: "Europe/Moscow",
      company: "Salón <Ромашка> & Co",
      now: NOW,
      facts: Object.assign({ phone: "79001234567" }, FACTS[kind]),
    };
    if (hasPage(kind)) input.url = "https://wa.example/whatsapp-pairing.html?company=962302#k";
    if (kind === "pairing_code") input.code = SAMPLE_CODE;
    return input;
  });
}

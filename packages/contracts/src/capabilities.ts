/**
 * What a number cannot do, by the engine it is at. One table: the gateway refuses by it, docs/wpp.md is made from it,
 * the console's page shows it, and the conformance suite tries every cell.
 */
import type { Provider } from "./session.ts";
import type { WppPlatform } from "./wpp/types.ts";

/** A linked device, Meta's Cloud API, or one of the two WPP servers. */
export type Engine = Exclude<Provider, "wpp"> | WppPlatform;
export const ENGINES = [
  "linked",
  "meta",
  "wpp_platform",
  "wppconnect",
] as const satisfies readonly Engine[];

/**
 * What is sent, or how: to a group's address (…@g.us), to somebody whose phone is not known (`lid`), as an answer, with
 * a text under the file, to be opened once only.
 */
export const CAPABILITIES = [
  "text",
  "image",
  "video",
  "voice",
  "audio",
  "document",
  "sticker",
  "location",
  "contact",
  "poll",
  "template",
  "interactive",
  "reaction",
  "edit",
  "delete",
  "read",
  "typing",
  "group",
  "lid",
  "reply",
  "file_caption",
  "view_once",
  "check_phones",
  "pairing_code",
] as const;
export type Capability = (typeof CAPABILITIES)[number];

/** Why not, for programs and their writers; people are told by the console's own texts for the same keys. */
export const REASONS = {
  only_cloud_api: "Templates and interactive messages are the Cloud API's.",
  no_call: "The server has no call for it.",
  no_such_message: "The Cloud API has no such message.",
  no_edits: "The Cloud API changes no message.",
  no_deletions: "The Cloud API takes no message back.",
  no_groups_of_phones:
    "The Cloud API knows no groups of phones; its own are written to by their chat.",
  no_lids: "The Cloud API knows people by phone and by its own ids.",
  not_linked_by_code: "A number of the Cloud API is not linked by a code.",
  no_phone_checks: "The Cloud API does not tell who has WhatsApp.",
  phones_only: "The platform writes to phones only.",
  no_quotes: "The platform cannot quote a message.",
  image_text_only: "The platform takes a text under an image only.",
  no_view_once: "What it sends can be opened again and again.",
  qr_only: "Numbers of this server are linked by QR only.",
} as const;
export type Reason = keyof typeof REASONS;

/** What is not here can be done. */
export const CANNOT: Readonly<Record<Engine, Readonly<Partial<Record<Capability, Reason>>>>> = {
  linked: { template: "only_cloud_api", interactive: "only_cloud_api" },
  meta: {
    poll: "no_such_message",
    edit: "no_edits",
    delete: "no_deletions",
    group: "no_groups_of_phones",
    lid: "no_lids",
    view_once: "no_view_once",
    check_phones: "no_phone_checks",
    pairing_code: "not_linked_by_code",
  },
  wpp_platform: {
    template: "only_cloud_api",
    interactive: "only_cloud_api",
    poll: "no_call",
    contact: "no_call",
    read: "no_call",
    typing: "no_call",
    group: "phones_only",
    lid: "phones_only",
    reply: "no_quotes",
    file_caption: "image_text_only",
    view_once: "no_view_once",
    check_phones: "no_call",
    pairing_code: "qr_only",
  },
  wppconnect: {
    template: "only_cloud_api",
    interactive: "only_cloud_api",
    view_once: "no_view_once",
    pairing_code: "qr_only",
  },
};

/** Undefined: it can be done. */
export function whyNot(engine: Engine, capability: Capability): string | undefined {
  const reason = CANNOT[engine][capability];
  return reason === undefined ? undefined : REASONS[reason];
}

export function engineOf(number: { provider: Provider; wppServer: WppPlatform }): Engine {
  return number.provider === "wpp" ? number.wppServer : number.provider;
}

/** What a number cannot do, by the engine it is at. One table: the gateway refuses by it, and docs/wpp.md is made from it. */
import type { SendKind } from "./rest/sends.ts";
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

/** What is sent, or how: to a group, to somebody whose phone is not known (`lid`), as an answer, with a text under the file. */
export type Capability =
  | SendKind
  | "group"
  | "lid"
  | "reply"
  | "file_caption"
  | "check_phones"
  | "pairing_code";

const NO_TEMPLATES = "Templates and interactive messages are the Cloud API's.";
const NO_CALL = "The server has no call for it.";
const META_HAS_NONE = "The Cloud API has no such message.";

/** Why not. What is not here can be done. */
export const CANNOT: Readonly<Record<Engine, Readonly<Partial<Record<Capability, string>>>>> = {
  linked: { template: NO_TEMPLATES, interactive: NO_TEMPLATES },
  meta: {
    poll: META_HAS_NONE,
    edit: "The Cloud API changes no message.",
    delete: "The Cloud API takes no message back.",
    pairing_code: "A number of the Cloud API is not linked by a code.",
    check_phones: "The Cloud API does not tell who has WhatsApp.",
  },
  wpp_platform: {
    template: NO_TEMPLATES,
    interactive: NO_TEMPLATES,
    poll: NO_CALL,
    contact: NO_CALL,
    read: NO_CALL,
    typing: NO_CALL,
    group: "The platform writes to phones only.",
    lid: "The platform writes to phones only.",
    reply: "The platform cannot quote a message.",
    file_caption: "The platform takes a text under an image only.",
    check_phones: NO_CALL,
    pairing_code: "The platform links by QR only.",
  },
  wppconnect: {
    template: NO_TEMPLATES,
    interactive: NO_TEMPLATES,
    pairing_code: "Numbers at WPPConnect Server are linked by QR.",
  },
};

export function engineOf(number: { provider: Provider; wppServer: WppPlatform }): Engine {
  return number.provider === "wpp" ? number.wppServer : number.provider;
}

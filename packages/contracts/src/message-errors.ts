/** Why a message was not sent: the codes of `error` in message.failed. */
import type { MessageError } from "./message.ts";

export const MESSAGE_ERRORS = {
  PHONE_NOT_ON_WHATSAPP: "This phone number is not on WhatsApp.",
  RECIPIENT_UNREACHABLE:
    "WhatsApp does not let this number write to this person before they have written.",
  RECIPIENT_UNKNOWN: "WhatsApp does not know this recipient any more.",
  NOT_ALLOWED: "WhatsApp does not let the number write here; is it still in the group?",
  NOT_ACCEPTED: "WhatsApp does not accept this message.",
  TARGET_UNKNOWN: "The message that is answered or changed is not known any more.",
  WINDOW_CLOSED:
    "More than a day has passed since this person wrote: only a template may be sent to them.",
  OPTED_OUT: "This person does not want such messages.",
  TEMPLATE_NOT_ACCEPTED:
    "The template does not exist, is not approved, or its parameters do not fit.",
  MEDIA_UNAVAILABLE: "The file could not be read.",
  UNKNOWN_OUTCOME: "Whether it was sent could not be found out within 15 minutes.",
  NO_ANSWER: "WhatsApp did not take the message after several tries.",
  INTERNAL: "The message could not be written as WhatsApp wants it.",
} as const;
export type MessageErrorCode = keyof typeof MESSAGE_ERRORS;

export function messageError(code: MessageErrorCode): MessageError {
  return { code, title: MESSAGE_ERRORS[code] };
}

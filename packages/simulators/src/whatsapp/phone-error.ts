/** What a phone shows when linking does not work, as stable codes. */
export const PHONE_ERRORS = {
  no_account: "This number is not on WhatsApp.",
  no_request: "There is no pairing request for this number.",
  wrong_code: "Couldn't link device. Check the code and try again.",
  code_expired: "This code has expired. Get a new one.",
  qr_expired: "This QR code has expired. Scan the new one.",
  qr_unreadable: "This is not a WhatsApp linking QR code.",
  couldnt_link_try_again: "Couldn't link device. Try again.",
  too_many_devices: "You can't link more devices. Remove one first.",
  passkey_required: "Confirm with your passkey to link this device.",
  offline: "The phone has no connection.",
  not_in_group: "You can't send messages to this group because you're not a member.",
  not_admin: "Only an admin can delete what somebody else wrote.",
  no_poll: "This poll is no longer available.",
} as const;
export type PhoneErrorCode = keyof typeof PHONE_ERRORS;

export class PhoneError extends Error {
  override name = "PhoneError";
  readonly code: PhoneErrorCode;

  constructor(code: PhoneErrorCode) {
    super(PHONE_ERRORS[code]);
    this.code = code;
  }
}

/**
 * What the pairing page knows, as one immutable value. Facts come from the server (a status answer, then
 * events); the rest is what the person did here. Times are milliseconds of the server's clock.
 */
import type { Attempt, PairingMethod, SessionReason, SessionStatus } from "@manyline/contracts";
import type { Problem } from "./api.ts";

export type Tab = PairingMethod;

/** The company, the number and how its connection is. */
export type Facts = {
  companyId: string;
  company: {
    name: string;
    phone: string | null;
    maskedEmail: string | null;
    country: string | null;
    language: string;
    timezone: string;
    returnUrl: string | null;
    smsNotifications: boolean;
  };
  numberId: string | null;
  provider: string;
  /** of the number, digits */
  phone: string | null;
  status: SessionStatus;
  reason: SessionReason;
  since: number;
  until: number | null;
  codesLeft: number;
};

/** The pairing attempt the page shows: the live one, or the one that just ended. */
export type PageAttempt = {
  id: string;
  method: PairingMethod;
  state: Attempt["state"];
  k: number;
  max: number;
  switched: boolean;
  issuedAt: number;
  expiresAt: number;
  phone: string | null;
  qr: string | undefined;
  /** `ABCD-EFGH` */
  code: string | undefined;
};

/** Why the server, or WhatsApp behind it, cannot be had at the moment. */
export type LostReason = "network" | "offline" | "paused" | "starting" | "whatsapp";

/** How the last try ended, when that needs a screen of its own. */
export type Outcome =
  | { kind: "whatsapp-wait" | "passkey" | "not-on-whatsapp"; phone: string | null }
  | { kind: "failed"; method: PairingMethod; phone: string | null }
  | { kind: "refused"; why: "off" | "other"; reference: string | null };

export type PageState = {
  /** the server's time at the last event */
  now: number;
  startedAt: number;
  link: "ok" | "invalid" | "missing" | "ended";
  facts: Facts | undefined;
  attempt: PageAttempt | undefined;
  tab: Tab;
  /** a person chose the tab; the first answer of the server no longer moves it */
  isTabChosen: boolean;
  /** the QR tab does not start an attempt by itself: a phone cannot scan its own screen */
  isQrOnRequest: boolean;
  /** an attempt was started for this view; another one needs a person */
  isQrSpent: boolean;
  /** QRs ran out or were left alone: the QR tab says so */
  hasQrEnded: boolean;
  /** a POST for a QR is on its way */
  isQrStarting: boolean;
  /** a code is being asked for by this page; `isJoined`: somebody else asked, we wait for that one */
  request: { since: number; phone: string; isJoined: boolean } | undefined;
  /** the phone a code was last asked for here, digits */
  askedPhone: string | undefined;
  outcome: Outcome | undefined;
  fieldError: "invalid" | "empty" | "alreadyLinked" | undefined;
  /** codes are refused until then */
  blockedUntil: number | undefined;
  isWaitOver: boolean;
  isPhoneMissing: boolean;
  /** a code is shown, but the person wants to type another number */
  isFormWanted: boolean;
  /** the server could not be reached; `nextTryAt` undefined while trying */
  lost: { why: LostReason; nextTryAt: number | undefined } | undefined;
  /** the phone answered, since */
  linkingSince: number | undefined;
  /** linked, or linked again, during this visit */
  isLinkedHere: boolean;
  /** the phone that was linked is not the stored one */
  otherPhone: string | undefined;
  /** what a person asked of a linked number */
  work: { kind: "reconnecting" | "unlinking"; since: number } | undefined;
  isUnlinkAsked: boolean;
  isUnlinkedHere: boolean;
  /** the person asked for what comes next: its heading takes the focus */
  isAsked: boolean;
  /** grows each time the focus should move to the new heading */
  focusCount: number;
};

export function initialState(options: {
  now: number;
  /** a touch device under 640 px: it cannot scan its own screen */
  isPhone: boolean;
}): PageState {
  return {
    now: options.now,
    startedAt: options.now,
    link: "ok",
    facts: undefined,
    attempt: undefined,
    tab: options.isPhone ? "code" : "qr",
    isTabChosen: false,
    isQrOnRequest: options.isPhone,
    isQrSpent: false,
    hasQrEnded: false,
    isQrStarting: false,
    request: undefined,
    askedPhone: undefined,
    outcome: undefined,
    fieldError: undefined,
    blockedUntil: undefined,
    isWaitOver: false,
    isPhoneMissing: false,
    isFormWanted: false,
    lost: undefined,
    linkingSince: undefined,
    isLinkedHere: false,
    otherPhone: undefined,
    work: undefined,
    isUnlinkAsked: false,
    isUnlinkedHere: false,
    isAsked: false,
    focusCount: 0,
  };
}

/** What a person does on the page. */
export type PersonEvent =
  | { type: "choose-tab"; tab: Tab }
  | { type: "show-qr" }
  | { type: "ask-code"; phone: string }
  | { type: "change-number" }
  | { type: "edit-phone" }
  | { type: "reconnect" }
  | { type: "ask-unlink" }
  | { type: "keep-linked" }
  | { type: "unlink" };

/** What the page's own requests come to. */
export type RequestEvent =
  | { type: "link"; state: PageState["link"] }
  | { type: "qr-requested" }
  | { type: "refused"; action: "qr" | "code" | "work"; problem: Problem }
  | { type: "lost"; why: LostReason; nextTryAt: number | undefined }
  | { type: "tick" };

/**
 * One pairing attempt as a pure state machine: `step(attempt, input, figures)` answers the next attempt and
 * the effects its owner carries out. No clock, no I/O. Drawn in docs/state-machines.md.
 */
import type {
  ErrorCode,
  PairingMethod,
  PairingOutcome,
  PairingState,
  Phone,
} from "@manyline/contracts";

/** All in milliseconds, already scaled. */
export type PairingFigures = {
  qrLifeMs: readonly number[];
  maxQr: number;
  codeValidityMs: number;
  codeGraceMs: number;
  linkingMs: number;
  /** How many connections in a row may drop before the attempt fails. */
  maxDrops: number;
};

export type Attempt = {
  method: PairingMethod;
  state: PairingState;
  /** Whom a code is asked for. In a QR attempt: whom the switch would ask, if known. */
  phone: Phone | null;
  k: number;
  /** The code follows unscanned QRs. */
  switched: boolean;
  /** The phone has answered the code (`primary_hello`). */
  answered: boolean;
  /** Connections that dropped since the last sign of progress. */
  drops: number;
  outcome: PairingOutcome | null;
  errorCode: ErrorCode | null;
};

export type PairingTimer = "qr" | "code" | "grace" | "linking" | "passkey";

export type PairingInput =
  /** WhatsApp sent the refs: a QR can be drawn, a code can be asked for. */
  | { kind: "ready"; watched: boolean }
  | { kind: "timer"; timer: PairingTimer; watched: boolean }
  /** Nobody has looked for the time of `pairing_watch`. */
  | { kind: "unwatched" }
  | { kind: "code_accepted" }
  | { kind: "code_refused"; errorCode: ErrorCode }
  /** The secret in the shown QR was retired (`companion_reg_refresh`). */
  | { kind: "rotated" }
  | { kind: "phone_answered" }
  /** WhatsApp retired the code (`refresh_code`). */
  | { kind: "code_retired" }
  | { kind: "passkey"; expiresInMs: number }
  | { kind: "paired" }
  | { kind: "closed"; canReopen: boolean; errorCode: ErrorCode }
  | { kind: "stop"; outcome: "cancelled" | "replaced" | "failed"; errorCode?: ErrorCode };

export type PairingEffect =
  /** Draw the next QR (or the same ref again) and show it for `lifeMs`; undefined: until the running end. */
  | { kind: "show_qr"; redraw: boolean; lifeMs?: number }
  | { kind: "ask_code" }
  | { kind: "code_issued"; validityMs: number }
  | { kind: "code_expired" }
  | { kind: "linking" }
  | { kind: "qr_exhausted"; switchedTo: "code" | null }
  | { kind: "phone_missing" }
  | { kind: "passkey_required"; expiresInMs: number }
  | { kind: "set_timer"; timer: PairingTimer; ms: number }
  | { kind: "clear_timers" }
  /** The connection is gone; open another one for the same attempt. */
  | { kind: "reopen" }
  | { kind: "ended"; outcome: PairingOutcome; errorCode: ErrorCode | null };

export type Step = { attempt: Attempt; effects: PairingEffect[] };

/** A fresh attempt; its connection is being opened. */
export function newAttempt(method: PairingMethod, phone: Phone | null): Attempt {
  return {
    method,
    state: "starting",
    phone,
    k: 0,
    switched: false,
    answered: false,
    drops: 0,
    outcome: null,
    errorCode: null,
  };
}

/** What happens next. An input that means nothing in this state changes nothing. */
export function step(attempt: Attempt, input: PairingInput, figures: PairingFigures): Step {
  if (attempt.state === "ended") return { attempt, effects: [] };
  switch (input.kind) {
    case "ready":
      return ready({ ...attempt, drops: 0 }, input.watched, figures);
    case "timer":
      return timer(attempt, input.timer, input.watched, figures);
    case "unwatched":
      return attempt.method === "qr" &&
        attempt.state !== "linking" &&
        attempt.state !== "passkey_required"
        ? end(attempt, "abandoned")
        : { attempt, effects: [] };
    case "code_accepted":
      return attempt.state === "requesting"
        ? {
            attempt: { ...attempt, state: "code" },
            effects: [
              { kind: "code_issued", validityMs: figures.codeValidityMs },
              { kind: "set_timer", timer: "code", ms: figures.codeValidityMs },
            ],
          }
        : { attempt, effects: [] };
    case "code_refused":
      return attempt.state === "requesting"
        ? end(attempt, "failed", input.errorCode)
        : { attempt, effects: [] };
    case "rotated":
      return attempt.state === "qr"
        ? { attempt, effects: [{ kind: "show_qr", redraw: true }] }
        : { attempt, effects: [] };
    case "phone_answered":
      return phoneAnswered(attempt, figures);
    case "code_retired":
      return attempt.state === "code" ? expireCode(attempt, figures) : { attempt, effects: [] };
    case "passkey":
      return {
        attempt: { ...attempt, state: "passkey_required" },
        effects: [
          { kind: "clear_timers" },
          { kind: "passkey_required", expiresInMs: input.expiresInMs },
          { kind: "set_timer", timer: "passkey", ms: input.expiresInMs },
        ],
      };
    case "paired":
      return end(attempt, "succeeded");
    case "closed":
      return closed(attempt, input.canReopen, input.errorCode, figures);
    case "stop":
      return end(attempt, input.outcome, input.errorCode);
  }
}

function ready(attempt: Attempt, watched: boolean, figures: PairingFigures): Step {
  if (attempt.method === "code") {
    return attempt.state === "starting"
      ? { attempt: { ...attempt, state: "requesting" }, effects: [{ kind: "ask_code" }] }
      : { attempt, effects: [] };
  }
  return attempt.k < figures.maxQr
    ? nextQr(attempt, figures)
    : exhausted({ ...attempt, state: "qr" }, watched);
}

/** A new socket of the same attempt goes on counting. */
function nextQr(attempt: Attempt, figures: PairingFigures): Step {
  const k = attempt.k + 1;
  const lifeMs = figures.qrLifeMs[Math.min(k, figures.qrLifeMs.length) - 1] ?? 0;
  return {
    attempt: { ...attempt, state: "qr", k },
    effects: [
      { kind: "clear_timers" },
      { kind: "show_qr", redraw: false, lifeMs },
      { kind: "set_timer", timer: "qr", ms: lifeMs },
    ],
  };
}

function timer(
  attempt: Attempt,
  which: PairingTimer,
  watched: boolean,
  figures: PairingFigures,
): Step {
  switch (which) {
    case "qr":
      // In `starting` a dropped connection is being replaced: the QR it showed has run out all the same.
      if (attempt.method !== "qr" || (attempt.state !== "qr" && attempt.state !== "starting"))
        break;
      if (attempt.k < figures.maxQr) {
        return attempt.state === "qr" ? nextQr(attempt, figures) : { attempt, effects: [] };
      }
      return exhausted(attempt, watched);
    case "code":
      return attempt.state === "code" ? expireCode(attempt, figures) : { attempt, effects: [] };
    case "grace":
      return attempt.state === "code_expired" ? end(attempt, "unused") : { attempt, effects: [] };
    case "linking":
      return attempt.state === "linking"
        ? end(attempt, "failed", "PAIRING_CODE_FAILED")
        : { attempt, effects: [] };
    case "passkey":
      return attempt.state === "passkey_required"
        ? end(attempt, "failed", "PASSKEY_REQUIRED")
        : { attempt, effects: [] };
  }
  return { attempt, effects: [] };
}

/** The last QR ended unscanned: switch to a code, once, if somebody watches and a phone is known. */
function exhausted(attempt: Attempt, watched: boolean): Step {
  if (!watched) return end(attempt, "abandoned");
  if (attempt.phone === null) {
    const ended = end(attempt, "unused");
    return {
      attempt: ended.attempt,
      effects: [
        { kind: "qr_exhausted", switchedTo: null },
        { kind: "phone_missing" },
        ...ended.effects,
      ],
    };
  }
  const switched: Attempt = { ...attempt, method: "code", switched: true };
  const effects: PairingEffect[] = [
    { kind: "clear_timers" },
    { kind: "qr_exhausted", switchedTo: "code" },
  ];
  // Without a connection the code is asked for when the next one is ready.
  return attempt.state === "qr"
    ? { attempt: { ...switched, state: "requesting" }, effects: [...effects, { kind: "ask_code" }] }
    : { attempt: switched, effects };
}

/**
 * The code is no longer shown. If the phone has answered it, linking goes on; else the connection and
 * the credentials live a little longer, for a code typed at the last moment.
 */
function expireCode(attempt: Attempt, figures: PairingFigures): Step {
  if (attempt.answered) {
    return { attempt: { ...attempt, state: "linking" }, effects: [{ kind: "linking" }] };
  }
  return {
    attempt: { ...attempt, state: "code_expired" },
    effects: [
      { kind: "code_expired" },
      { kind: "set_timer", timer: "grace", ms: figures.codeGraceMs },
    ],
  };
}

/**
 * While the code is shown the answer only starts the linking clock: a mistyped code answers too, and the
 * person must still see the code to type it again.
 */
function phoneAnswered(attempt: Attempt, figures: PairingFigures): Step {
  const clock: PairingEffect = { kind: "set_timer", timer: "linking", ms: figures.linkingMs };
  const answered = { ...attempt, answered: true };
  if (attempt.state === "code" || attempt.state === "linking") {
    return { attempt: answered, effects: [clock] };
  }
  if (attempt.state === "code_expired") {
    return { attempt: { ...answered, state: "linking" }, effects: [{ kind: "linking" }, clock] };
  }
  return { attempt, effects: [] };
}

function closed(
  attempt: Attempt,
  canReopen: boolean,
  errorCode: ErrorCode,
  figures: PairingFigures,
): Step {
  // A code and a passkey request die with their connection; a QR attempt gets another one.
  const early = attempt.state === "starting" || attempt.state === "qr";
  if (!early || !canReopen || attempt.drops + 1 >= figures.maxDrops) {
    return end(
      attempt,
      "failed",
      attempt.state === "passkey_required" ? "PASSKEY_REQUIRED" : errorCode,
    );
  }
  return {
    attempt: { ...attempt, state: "starting", drops: attempt.drops + 1 },
    effects: [{ kind: "reopen" }],
  };
}

function end(attempt: Attempt, outcome: PairingOutcome, errorCode: ErrorCode | null = null): Step {
  return {
    attempt: { ...attempt, state: "ended", outcome, errorCode },
    effects: [{ kind: "clear_timers" }, { kind: "ended", outcome, errorCode }],
  };
}

/** What a new request does to the attempt that is live. */
export type RequestAnswer = "join" | "replace" | "refuse";

/**
 * A request for a code: joined while a code for the same phone is on its way or shown; after it expired a
 * new one replaces it, unless the phone has begun. A QR attempt gives way to a code. Another phone
 * replaces a shown code, but never one that the phone has answered.
 */
export function answerCodeRequest(attempt: Attempt, phone: Phone): RequestAnswer {
  switch (attempt.state) {
    case "linking":
      return "refuse";
    case "requesting":
      return attempt.phone === phone ? "join" : "refuse";
    case "code":
      if (attempt.phone === phone) return "join";
      return attempt.answered ? "refuse" : "replace";
    case "starting":
      if (attempt.method === "code") return attempt.phone === phone ? "join" : "refuse";
      return "replace";
    case "qr":
    case "code_expired":
    case "passkey_required":
    case "ended":
      return "replace";
  }
}

/** A request for a QR joins what is live, except an expired code the phone has not answered. */
export function answerQrRequest(attempt: Attempt): RequestAnswer {
  switch (attempt.state) {
    case "code_expired":
    case "passkey_required":
    case "ended":
      return "replace";
    case "starting":
    case "qr":
    case "requesting":
    case "code":
    case "linking":
      return "join";
  }
}

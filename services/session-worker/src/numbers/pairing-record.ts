/** Turns the effects of one step of an attempt into one commit: the attempt's row, its events, the status. */
import {
  companyPhoneMissing,
  formatPairingCode,
  PAIRING,
  pairingAbandoned,
  pairingCodeExpired,
  pairingCodeIssued,
  pairingFailed,
  pairingLinking,
  pairingPasskeyRequired,
  pairingQrExhausted,
  pairingQrIssued,
  pairingRateLimited,
  secretPairing,
  SESSION_REASONS,
  type AttemptId,
  type CompanyId,
  type ErrorFacts,
  type NumberId,
  type SessionReason,
} from "@manyline/contracts";
import {
  markPhoneMissing,
  updateAttempt,
  type AttemptPatch,
  type LimitAnswer,
  type OwnedNumber,
} from "@manyline/db";
import type { Attempt, PairingEffect } from "../domain/pairing-machine.ts";
import type { WorkerContext } from "./context.ts";
import type { Entry, NumberJournal } from "./journal.ts";
import { minutesUntil } from "./pairing-limits.ts";
import type { Resting } from "./session-keeper.ts";

/** What an attempt shows, and what is known about its refusal. */
export type Shown = {
  /** The QR's text or the code; never logged. */
  text: string | undefined;
  issuedAt: Date | undefined;
  expiresAt: Date | undefined;
  codesLeft: number;
  passkey?: unknown;
  refusedBy?: LimitAnswer;
  /** Why WhatsApp closed the connection for good. */
  closing?: SessionReason | undefined;
};

export type Step = {
  context: WorkerContext;
  journal: NumberJournal;
  number: OwnedNumber;
  attemptId: AttemptId;
  before: Attempt;
  attempt: Attempt;
  effects: readonly PairingEffect[];
  shown: Shown;
  facts: ErrorFacts;
  /** Commands that wait for the code or the failure. */
  finish: readonly string[];
  /** What a number with credentials goes back to. */
  resting: Resting | undefined;
};

/** Commits the step; answers what is shown from now on. */
export async function recordEffects(given: Step): Promise<Shown> {
  let shown = given.shown;
  await given.journal.commit(async (entry) => {
    shown = given.shown;
    const patch: AttemptPatch = {
      state: given.attempt.state,
      method: given.attempt.method,
      k: given.attempt.k,
      switched: given.attempt.switched,
      ...(given.attempt.method === "code" ? { phone: given.attempt.phone } : {}),
    };
    for (const effect of given.effects) {
      shown = await record({ ...given, shown }, effect, entry, patch);
    }
    await updateAttempt(
      entry.tx,
      given.context.keyring,
      given.journal.fence,
      given.attemptId,
      patch,
    );
  });
  announce(given, shown);
  return shown;
}

/** Copies and the secret subject, after the commit; all of it may be lost. */
function announce({ context, number, attempt, attemptId, effects }: Step, shown: Shown): void {
  if (shown.text === undefined || shown.expiresAt === undefined) return;
  for (const effect of effects) {
    if (effect.kind === "show_qr") context.copies.qr(number, attemptId, attempt.k, shown.expiresAt);
    if (effect.kind === "code_issued" && attempt.phone !== null) {
      context.copies.code(number, attemptId, attempt.phone, shown.expiresAt);
      context.bus.poke(
        secretPairing(number.companyId as CompanyId, number.numberId as NumberId),
        JSON.stringify({
          companyId: number.companyId,
          code: formatPairingCode(shown.text),
          phoneNumber: attempt.phone,
          expiresAt: shown.expiresAt.toISOString(),
        }),
      );
    }
  }
}

async function record(
  given: Step,
  effect: PairingEffect,
  entry: Entry,
  patch: AttemptPatch,
): Promise<Shown> {
  const { attemptId, attempt, context, shown } = given;
  const now = context.clock.now();
  switch (effect.kind) {
    case "show_qr": {
      const isRunning =
        effect.redraw && shown.issuedAt !== undefined && shown.expiresAt !== undefined;
      const issuedAt = isRunning ? shown.issuedAt : now;
      const expiresAt = isRunning
        ? shown.expiresAt
        : new Date(now.getTime() + (effect.lifeMs ?? 0));
      if (shown.text === undefined || !issuedAt || !expiresAt) return shown;
      Object.assign(patch, { issuedAt, expiresAt, secret: { kind: "qr", value: shown.text } });
      entry.emit(pairingQrIssued, {
        attemptId,
        k: attempt.k,
        max: PAIRING.maxQr,
        issuedAt: issuedAt.toISOString(),
        expiresAt: expiresAt.toISOString(),
        refreshed: effect.redraw,
      });
      return { ...shown, issuedAt, expiresAt };
    }
    case "code_issued": {
      const expiresAt = new Date(now.getTime() + effect.validityMs);
      if (shown.text === undefined || attempt.phone === null) return shown;
      const { codesLeft } = shown;
      Object.assign(patch, {
        issuedAt: now,
        expiresAt,
        codesLeft,
        secret: { kind: "code", value: shown.text },
      });
      const times = { issuedAt: now.toISOString(), expiresAt: expiresAt.toISOString() };
      entry.emit(pairingCodeIssued, {
        attemptId,
        phone: attempt.phone,
        ...times,
        validitySeconds: PAIRING.codeValidityMs / 1_000,
        codesLeft,
        switched: attempt.switched,
      });
      for (const commandId of given.finish) {
        await entry.finish(commandId, {
          state: "done",
          result: { attemptId, ...times, codesLeft },
        });
      }
      return { ...shown, issuedAt: now, expiresAt };
    }
    case "code_expired":
      patch.secret = null;
      entry.emit(pairingCodeExpired, { attemptId, codesLeft: shown.codesLeft });
      return { ...shown, text: undefined };
    case "linking":
      patch.secret = null;
      entry.emit(pairingLinking, { attemptId });
      return { ...shown, text: undefined };
    case "qr_exhausted":
      Object.assign(patch, { secret: null, issuedAt: null, expiresAt: null });
      entry.emit(pairingQrExhausted, { attemptId, k: attempt.k, switchedTo: effect.switchedTo });
      return { ...shown, text: undefined, issuedAt: undefined, expiresAt: undefined };
    case "phone_missing":
      // Once until the phone changes: a page left open must not write to the administrator every two minutes.
      if (await markPhoneMissing(entry.tx, given.number.companyNo)) {
        entry.emit(companyPhoneMissing, { numberId: given.number.numberId });
      }
      return shown;
    case "passkey_required": {
      const expiresAt = new Date(now.getTime() + effect.expiresInMs);
      Object.assign(patch, { secret: null, issuedAt: now, expiresAt });
      entry.emit(pairingPasskeyRequired, {
        attemptId,
        expiresAt: expiresAt.toISOString(),
        options: shown.passkey ?? {},
      });
      await entry.setStatus("error", "passkey_required");
      for (const commandId of given.finish) {
        await entry.finish(commandId, { state: "failed", error: { code: "PASSKEY_REQUIRED" } });
      }
      return { ...shown, text: undefined, issuedAt: now, expiresAt };
    }
    case "ended":
      await recordEnd(given, effect, entry, patch);
      return { ...shown, text: undefined };
    case "ask_code":
    case "set_timer":
    case "clear_timers":
    case "reopen":
      return shown;
  }
}

async function recordEnd(
  { attemptId, context, shown, facts, finish, before, resting }: Step,
  { outcome, errorCode }: Extract<PairingEffect, { kind: "ended" }>,
  entry: Entry,
  patch: AttemptPatch,
): Promise<void> {
  Object.assign(patch, { outcome, errorCode, secret: null, endedAt: context.clock.now() });
  if (outcome === "failed") {
    const { detail } = facts;
    entry.emit(pairingFailed, {
      attemptId,
      code: errorCode ?? "PAIRING_CODE_FAILED",
      ...(detail === undefined ? {} : { detail }),
    });
  } else if (outcome !== "succeeded") {
    entry.emit(pairingAbandoned, {
      attemptId,
      reason: outcome === "abandoned" ? "unwatched" : outcome,
    });
  }
  if (shown.refusedBy?.until) {
    entry.emit(pairingRateLimited, {
      scope: shown.refusedBy.scope ?? "company",
      until: shown.refusedBy.until.toISOString(),
      minutes: minutesUntil(context, shown.refusedBy.until),
    });
  }
  // A replaced attempt is followed by the next one in the same breath: the number goes on connecting.
  if (outcome !== "replaced") {
    const reason = resting?.reason ?? reasonAfter(outcome, errorCode, shown.closing, before);
    const until = resting?.until ?? undefined;
    await entry.setStatus(
      SESSION_REASONS[reason].status,
      reason,
      until === undefined ? {} : { until },
    );
  }
  const code =
    errorCode ?? (outcome === "replaced" ? "REQUEST_IN_PROGRESS" : "PAIRING_CODE_FAILED");
  for (const commandId of finish) {
    await entry.finish(commandId, { state: "failed", error: { code, ...facts } });
  }
}

/** What a number without credentials is after its attempt. */
function reasonAfter(
  outcome: string,
  errorCode: string | null,
  closing: SessionReason | undefined,
  before: Attempt,
): SessionReason {
  if (outcome !== "failed") return "not_linked";
  if (closing !== undefined) return closing;
  if (errorCode === "PASSKEY_REQUIRED" || before.state === "passkey_required")
    return "passkey_required";
  return errorCode === "WHATSAPP_REFUSED" ? "linking_refused" : "not_linked";
}

/** What a WPP server tells of a number's session: the status, and the QR or code that a person is to be shown. */
import {
  newAttemptId,
  type OutgoingEvent,
  PAIRING,
  pairingCodeIssued,
  pairingFailed,
  pairingLinking,
  type PairingMethod,
  pairingQrIssued,
  pairingStarted,
  pairingSucceeded,
  type Phone,
  SESSION_REASONS,
  sessionConnected,
  sessionConnecting,
  sessionDisconnected,
  sessionError,
  type SessionReason,
  type SessionStatus,
  type WppSessionInput,
} from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { firstRow, type Tx } from "../open.ts";
import type { InboundSource } from "./inbound-items.ts";
import { phoneOrNull, tell } from "./message-rows.ts";
import { setNumberStatus } from "./number-status.ts";
import {
  type AttemptRow,
  insertAttempt,
  liveAttempt,
  readAttemptSecret,
  updateAttempt,
} from "./pairing-attempts.ts";

/** A server shows a QR for about so long before the next; that one takes its place in any case. */
const QR_LIFE_MS = 60_000;
/** One that is shown for longer is shown anew when less than this is left. */
const RENEW_MS = 15_000;
/** What is older than the status by more than clocks differ was told too late. */
const LATE_MS = 5_000;

type Now = {
  status: SessionStatus;
  reason: SessionReason;
  since: Date;
  desiredState: string;
  phone: string | null;
};

const EVENTS = {
  connecting: sessionConnecting,
  connected: sessionConnected,
  disconnected: sessionDisconnected,
  error: sessionError,
} as const;

/**
 * `lateMs`: what is older than the status by more came too late. Stores what it says and answers the events that tell it: none when it is known, or older than what is. The number
 * must be held, by its owner or by whoever takes its webhooks. Role worker or ingest.
 */
export async function noteWppSession(
  tx: Tx,
  keyring: Keyring,
  source: InboundSource,
  input: WppSessionInput,
  lateMs = LATE_MS,
): Promise<OutgoingEvent[]> {
  const { companyNo, numberNo } = source.fence;
  const now = await firstRow(
    tx,
    sql<Now>`select status, reason, since, desired_state, phone_e164 as phone from numbers
      where company_no = ${companyNo} and number_no = ${numberNo} and provider = 'wpp' for no key update`,
  );
  if (!now || now.desiredState !== "connected") return [];
  if (input.at.getTime() < now.since.getTime() - lateMs) return [];
  // A person has ended it, and what the server said before it knew came late: only a person begins it again.
  if (now.reason === "unlinked" && input.event !== "connected") return [];
  // Whoever is connected was shown it before.
  const isOver = now.status === "connected" && input.at <= now.since;
  if (isOver && (input.event === "qr" || input.event === "pairing_code")) return [];
  const session = { tx, keyring, source, now, at: pastOrNow(input.at) };
  switch (input.event) {
    case "qr":
      return input.qr
        ? show(session, "qr", "text" in input.qr ? input.qr.text : input.qr.image, null)
        : [];
    case "pairing_code":
      return show(session, "code", input.code, phoneOrNull(input.phone) ?? now.phone);
    case "connecting": {
      // Whoever was linked and has to be scanned again has been logged out.
      if (input.step === "awaiting_scan" && now.status === "connected")
        return become(session, "logged_out");
      const linking = input.step === "scanned" ? await link(session) : [];
      return [...linking, ...(await become(session, "pairing"))];
    }
    case "connected":
      return [...(await end(session, true)), ...(await become(session, "open"))];
    case "disconnected":
      return become(session, input.reason === "logged_out" ? "logged_out" : "offline");
    case "error":
      if (input.code === "phone_not_connected") return become(session, "phone_offline");
      return [...(await end(session, false)), ...(await become(session, "qr_failed"))];
  }
}

type Session = { tx: Tx; keyring: Keyring; source: InboundSource; now: Now; at: Date };

function pastOrNow(at: Date): Date {
  return at.getTime() < Date.now() ? at : new Date();
}

async function become(
  { tx, source, now, at }: Session,
  reason: SessionReason,
): Promise<OutgoingEvent[]> {
  const { status, nextAction } = SESSION_REASONS[reason];
  if (status === "blocked" || (now.status === status && now.reason === reason)) return [];
  const lastConnectedAt = status === "connected" ? { lastConnectedAt: at } : {};
  await setNumberStatus(tx, source.fence, { status, reason, since: at, ...lastConnectedAt });
  return [
    tell(source, EVENTS[status], {
      status,
      reason,
      previousStatus: now.status,
      since: at.toISOString(),
      provider: "wpp",
      phone: phoneOrNull(now.phone),
      nextAction,
    }),
  ];
}

/** Shows a QR or a code, in the attempt that runs or in one that begins with it. */
async function show(
  session: Session,
  kind: "qr" | "code",
  text: string,
  phone: string | null,
): Promise<OutgoingEvent[]> {
  const { tx, keyring, source } = session;
  const { fence } = source;
  const { attempt, told } = await attemptFor(session, kind, phone);
  const shown = await readAttemptSecret(tx, keyring, fence.companyNo, attempt.attemptId);
  const isShown = shown?.kind === kind && shown.value === text;
  // The server and its owner tell the same one; it comes again as long as it can be scanned.
  if (isShown && shown.expiresAt.getTime() > Date.now() + RENEW_MS) return [];
  const lifeMs = kind === "qr" ? QR_LIFE_MS : PAIRING.codeValidityMs;
  const issuedAt = new Date();
  const expiresAt = new Date(issuedAt.getTime() + lifeMs);
  const k = kind === "qr" && !isShown ? attempt.k + 1 : attempt.k;
  await updateAttempt(tx, keyring, fence, attempt.attemptId, {
    state: kind,
    method: kind,
    k,
    issuedAt,
    expiresAt,
    secret: { kind, value: text },
    ...(phone === null ? {} : { phone }),
    ...(kind === "code" ? { codesLeft: PAIRING.codesPerHour } : {}),
  });
  const max = Math.max(attempt.max, k);
  await sql`update pairing_attempts set max = ${max} where company_no = ${fence.companyNo}
    and attempt_id = ${attempt.attemptId} and max < ${max}`.execute(tx);
  const { attemptId } = attempt;
  const times = { issuedAt: issuedAt.toISOString(), expiresAt: expiresAt.toISOString() };
  const known = phoneOrNull(phone ?? attempt.phone) as Phone | null;
  if (kind === "qr") {
    told.push(tell(source, pairingQrIssued, { attemptId, k, max, ...times, refreshed: isShown }));
  } else if (known !== null) {
    // Nobody counts the codes of a WPP server.
    const codesLeft = PAIRING.codesPerHour;
    const facts = { validitySeconds: lifeMs / 1_000, codesLeft, switched: attempt.k > 0 };
    told.push(tell(source, pairingCodeIssued, { attemptId, phone: known, ...times, ...facts }));
  }
  return [...told, ...(await become(session, "pairing"))];
}

/** What a former owner began counts no more: its attempt is ended as that owner's would be. */
async function attemptFor(
  { tx, source }: Session,
  method: PairingMethod,
  phone: string | null,
): Promise<{ attempt: AttemptRow; told: OutgoingEvent[] }> {
  const { fence } = source;
  const told: OutgoingEvent[] = [];
  const live = await liveAttempt(tx, fence.companyNo, fence.numberNo);
  if (live && live.epoch === fence.epoch) return { attempt: live, told };
  if (live) {
    await sql`update pairing_attempts set state = 'ended', outcome = 'failed', error_code = 'UNAVAILABLE',
        ended_at = clock_timestamp(), secret = null, secret_kind = null
      where company_no = ${fence.companyNo} and attempt_id = ${live.attemptId}`.execute(tx);
    told.push(
      tell(source, pairingFailed, { attemptId: live.attemptId, code: "UNAVAILABLE" as const }),
    );
  }
  const attempt = await insertAttempt(tx, fence, {
    attemptId: newAttemptId(),
    method,
    state: "starting",
    phone,
    max: PAIRING.maxQr,
  });
  const { attemptId } = attempt;
  told.push(tell(source, pairingStarted, { attemptId, method, phone: phoneOrNull(phone) }));
  return { attempt, told };
}

async function link({ tx, keyring, source }: Session): Promise<OutgoingEvent[]> {
  const { companyNo, numberNo } = source.fence;
  const live = await liveAttempt(tx, companyNo, numberNo);
  if (!live || live.state === "linking") return [];
  const { attemptId } = live;
  const patch = { state: "linking", secret: null } as const;
  const linking = await updateAttempt(tx, keyring, source.fence, attemptId, patch);
  return linking ? [tell(source, pairingLinking, { attemptId })] : [];
}

/** Ends the attempt that runs. */
async function end(
  { tx, keyring, source, now }: Session,
  isLinked: boolean,
): Promise<OutgoingEvent[]> {
  const { companyNo, numberNo } = source.fence;
  const live = await liveAttempt(tx, companyNo, numberNo);
  if (!live) return [];
  const { attemptId, method } = live;
  const outcome = isLinked
    ? ({ outcome: "succeeded" } as const)
    : ({ outcome: "failed", errorCode: "PAIRING_CODE_FAILED" } as const);
  const ended = await updateAttempt(tx, keyring, source.fence, attemptId, {
    state: "ended",
    ...outcome,
  });
  if (!ended) return [];
  if (!isLinked)
    return [tell(source, pairingFailed, { attemptId, code: "PAIRING_CODE_FAILED" as const })];
  const phone = phoneOrNull(live.phone ?? now.phone) as Phone | null;
  const otherPhone = phone !== now.phone;
  return [tell(source, pairingSucceeded, { attemptId, method, phone, otherPhone })];
}

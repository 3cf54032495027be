/**
 * Codes and QRs are in no event. A stream with scope `pair` gets them put in, read from the attempt's row
 * while it lives; they pass through here and are kept nowhere.
 */
import type { Attempt, StatusAnswer } from "@manyline/contracts";
import { formatPairingCode } from "@manyline/contracts";
import { readAttempt, readAttemptSecret } from "@manyline/db";
import type { Executor, Keyring, StoredEvent } from "@manyline/db";

type Vault = { readonly keyring: Keyring; readonly companyNo: number };

/** The status with the live attempt's QR or code. */
export async function withAttemptSecret(
  executor: Executor,
  vault: Vault,
  status: StatusAnswer,
): Promise<StatusAnswer> {
  const { attempt } = status;
  if (!attempt || attempt.state === "ended") return status;
  const shown = await secretOf(executor, vault, attempt.id);
  return shown ? { ...status, attempt: { ...attempt, ...shown } } : status;
}

/** The data of an event, with the QR or code it tells about, if that is still the one to be shown. */
export async function withEventSecret(
  executor: Executor,
  vault: Vault,
  { type, envelope }: StoredEvent,
): Promise<unknown> {
  const { data } = envelope;
  if (type !== "pairing.qr_issued" && type !== "pairing.code_issued") return data;
  if (typeof data !== "object" || data === null || !("attemptId" in data)) return data;
  const attemptId = String(data.attemptId);
  const shown = await secretOf(executor, vault, attemptId);
  if (!shown) return data;
  if (type === "pairing.code_issued")
    return shown.code === undefined ? data : { ...data, ...shown };
  // By now a later QR may be shown: its own event brings it.
  const attempt = await readAttempt(executor, attemptId);
  const isCurrent = "k" in data && data.k === attempt?.k && shown.qr !== undefined;
  return isCurrent ? { ...data, ...shown } : data;
}

async function secretOf(
  executor: Executor,
  { keyring, companyNo }: Vault,
  attemptId: string,
): Promise<Pick<Attempt, "qr" | "code"> | undefined> {
  const secret = await readAttemptSecret(executor, keyring, companyNo, attemptId);
  if (!secret) return undefined;
  if (secret.kind === "qr") return { qr: secret.value };
  return { code: secret.value.includes("-") ? secret.value : formatPairingCode(secret.value) };
}

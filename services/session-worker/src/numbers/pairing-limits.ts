/** Our own limits on pairing codes: the words of a refusal, and the key of the per-phone limit. */
import { pairingRateLimited, type ErrorFacts, type Phone } from "@manyline/contracts";
import { hashPhone, spendPairingCode, type LimitAnswer, type OwnedNumber } from "@manyline/db";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";

/** A phone appears in the limits' table only as a keyed hash. */
export function phoneHash(context: WorkerContext, phone: Phone): Buffer {
  return hashPhone(phone, context.phonePepper);
}

/** Minutes as a person is told them: rounded up, and unscaled, whatever TIME_SCALE is. */
export function minutesUntil(context: WorkerContext, until: Date): number {
  const leftMs = (until.getTime() - context.clock.now().getTime()) * context.clock.timeScale;
  return Math.max(1, Math.ceil(leftMs / 60_000));
}

/** What the refused caller is told. */
export function limitFacts(context: WorkerContext, answer: LimitAnswer): ErrorFacts {
  if (!answer.until) return {};
  const minutes = minutesUntil(context, answer.until);
  return {
    detail: `Wait ${minutes} ${minutes === 1 ? "minute" : "minutes"}`,
    minutes,
    until: answer.until.toISOString(),
    scope: answer.scope ?? "company",
    retryAfterSeconds: Math.max(
      1,
      Math.ceil((answer.until.getTime() - context.clock.now().getTime()) / 1_000),
    ),
  };
}

/** Refuses a command because of a limit, and tells of it. */
export async function tellLimited(
  context: WorkerContext,
  journal: NumberJournal,
  commandId: string,
  limit: LimitAnswer & { until: Date },
): Promise<void> {
  await journal.commit(async (entry) => {
    entry.emit(pairingRateLimited, {
      scope: limit.scope ?? "company",
      until: limit.until.toISOString(),
      minutes: minutesUntil(context, limit.until),
    });
    const error = { code: "RATE_LIMITED", ...limitFacts(context, limit) } as const;
    await entry.finish(commandId, { state: "failed", error });
  });
}

/** Spends a code when the request goes out. Undefined: the limits could not be asked, so nothing may go out. */
export async function spendCode(
  context: WorkerContext,
  number: OwnedNumber,
  phone: Phone,
): Promise<LimitAnswer | undefined> {
  try {
    return await spendPairingCode(context.db, {
      companyNo: number.companyNo,
      phoneHash: phoneHash(context, phone),
      limits: context.limits,
    });
  } catch (error) {
    context.reports.failed("spend_code", number, error);
    return undefined;
  }
}

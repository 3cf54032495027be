import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";

/** Durations in milliseconds, already scaled by the caller. */
export type CodeLimits = { perHour: number; windowMs: number; cooldownMs: number };

export type CodeLimitInput = {
  companyNo: number;
  /** See `hashPhone`. */
  phoneHash: Buffer;
  limits: CodeLimits;
};

export type LimitAnswer = {
  allowed: boolean;
  /** Whose limit refused. */
  scope?: "company" | "phone";
  /** From when it is worth asking again. */
  until?: Date;
  /** Codes the company may still ask for, after this decision. */
  codesLeft: number;
  /** This very call started the company's cooldown: `session.blocked` is to be told. */
  cooldownStarted: boolean;
};

/**
 * Whether a code could be asked for now. Costs nothing; but when the window is full, the asking starts the
 * cooldown, as a sixth code would.
 */
export async function checkPairingCode(
  executor: Executor,
  input: CodeLimitInput,
): Promise<LimitAnswer> {
  return decide(executor, input, false);
}

/** Spends a code, if it is allowed: when the request goes out to WhatsApp. One statement, safe under concurrency. */
export async function spendPairingCode(
  executor: Executor,
  input: CodeLimitInput,
): Promise<LimitAnswer> {
  return decide(executor, input, true);
}

async function decide(
  executor: Executor,
  { companyNo, phoneHash, limits }: CodeLimitInput,
  isSpent: boolean,
): Promise<LimitAnswer> {
  const row = await firstRow(
    executor,
    sql<{
      allowed: boolean;
      scope: "company" | "phone" | null;
      until: Date | null;
      codesLeft: number;
      cooldownStarted: boolean;
    }>`select * from pairing_code_limit(${companyNo}, ${phoneHash}, ${limits.perHour},
      ${Math.round(limits.windowMs)}, ${Math.round(limits.cooldownMs)}, ${isSpent})`,
  );
  if (row === undefined) throw new Error("the limits gave no answer");
  const { scope, until, ...decision } = row;
  return {
    ...decision,
    ...(scope === null ? {} : { scope }),
    ...(until === null ? {} : { until }),
  };
}

/** Until when the company is in its cooldown, or null. */
export async function blockedUntil(executor: Executor, companyNo: number): Promise<Date | null> {
  const row = await firstRow(
    executor,
    sql<{ blockedUntil: Date }>`
      select blocked_until from whatsapp_rate_limits
      where company_no = ${companyNo} and blocked_until > clock_timestamp()`,
  );
  return row?.blockedUntil ?? null;
}

/** Companies in the worker's shards whose cooldown is over and whose end was not told yet. */
export async function endedBlocks(executor: Executor, workerId: string): Promise<number[]> {
  const ended = await rows(
    executor,
    sql<{ companyNo: number }>`
      select r.company_no from whatsapp_rate_limits r
      join companies c on c.company_no = r.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where not r.end_told and r.blocked_until <= clock_timestamp() and l.owner = ${workerId}
      order by r.company_no`,
  );
  return ended.map(({ companyNo }) => companyNo);
}

/** The end of the company's cooldown is told now, in this transaction. False: it was already. */
export async function markBlockEnded(executor: Executor, companyNo: number): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update whatsapp_rate_limits set end_told = true
      where company_no = ${companyNo} and not end_told and blocked_until <= clock_timestamp()`,
  );
  return count > 0;
}

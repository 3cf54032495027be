import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";

export type AuditInput = {
  /** null: concerns no single company. */
  companyNo: number | null;
  /** Who: `token:<tokenId>`, `system`. */
  actor: string;
  /** What: `number.unlinked`. */
  action: string;
  /** On what: an outer id. */
  target?: string | null;
  requestId?: string | null;
  /** Facts worth keeping; no secret, no code. */
  details?: Record<string, unknown>;
};

export type AuditEntry = {
  seq: number;
  at: Date;
  actor: string;
  action: string;
  target: string | null;
  requestId: string | null;
  details: Record<string, unknown>;
};

/**
 * Appends an entry to the company's chain (or the common one) and returns its number. Entries of a chain
 * go one after another until the commit: call it last in a transaction.
 */
export async function audit(executor: Executor, input: AuditInput): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ seq: number }>`
      select append_audit(${input.companyNo}, ${input.actor}, ${input.action}, ${input.target ?? null},
        ${input.requestId ?? null}, ${JSON.stringify(input.details ?? {})}::jsonb) as seq`,
  );
  if (row === undefined) throw new Error("an audit entry was not written");
  return row.seq;
}

/** Newest first; `before` is the `seq` of the last one seen. */
export async function listAudit(
  executor: Executor,
  companyNo: number | null,
  page: { before?: number | undefined; limit: number },
): Promise<AuditEntry[]> {
  return rows(
    executor,
    sql<AuditEntry>`
      select seq, at, actor, action, target, request_id, details from audit_log
      where chain = ${companyNo ?? 0} and (${page.before ?? null}::bigint is null or seq < ${page.before ?? null})
      order by seq desc limit ${page.limit}`,
  );
}

/**
 * Checks a chain from its oldest remaining entry: every hash fits its entry, every entry names the hash
 * before it, none is missing in between. What it cannot see: the newest entries cut off.
 */
export async function verifyAuditChain(
  executor: Executor,
  companyNo: number | null,
): Promise<{ ok: true; entries: number } | { ok: false; brokenAt: number }> {
  const row = await firstRow(
    executor,
    sql<{ entries: number; brokenAt: number | null }>`
      select count(*) as entries,
        min(seq) filter (where hash <> expected or prev_hash <> before or seq <> last_seq + 1) as broken_at
      from (
        select seq, hash, prev_hash,
          audit_hash(prev_hash, company_no, seq, at, actor, action, target, request_id, details) as expected,
          lag(hash, 1, prev_hash) over w as before,
          lag(seq, 1, seq - 1) over w as last_seq
        from audit_log where chain = ${companyNo ?? 0}
        window w as (order by seq)
      ) checked`,
  );
  return row?.brokenAt === null || row === undefined
    ? { ok: true, entries: row?.entries ?? 0 }
    : { ok: false, brokenAt: row.brokenAt };
}

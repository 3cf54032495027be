/** Which statements Postgres saw, from pg_stat_statements. */
import type { Client } from "pg";

export type StatementCount = { query: string; calls: number; totalMs: number; rows: number };

export async function resetStatements(client: Client): Promise<void> {
  await client.query("select pg_stat_statements_reset()");
}

/** Those of one role, most calls first; the text on one line. */
export async function readStatements(client: Client, role: string): Promise<StatementCount[]> {
  const answer = await client.query<StatementCount>(
    `select regexp_replace(s.query, '\\s+', ' ', 'g') as query, s.calls::int as calls,
        s.total_exec_time as "totalMs", s.rows::int as rows
      from pg_stat_statements s join pg_roles r on r.oid = s.userid
      where r.rolname = $1 and s.dbid = (select oid from pg_database where datname = current_database())
      order by s.calls desc, s.total_exec_time desc`,
    [role],
  );
  return answer.rows;
}

/** Which flow stands behind a name: a company's own, else the one for all. */
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

export type FlowRow = {
  name: string;
  /** Meta's id. */
  flowId: string;
  action: "navigate" | "data_exchange";
  /** The first screen, for `navigate`. */
  screen: string | null;
};

const COLUMNS = sql`name, flow_id, action, screen`;

/** Role worker. */
export async function findFlow(
  executor: Executor,
  companyNo: number,
  name: string,
): Promise<FlowRow | undefined> {
  return firstRow(
    executor,
    sql<FlowRow>`select ${COLUMNS} from (
        select ${COLUMNS}, 1 as place from tenant_flows
          where company_no = ${companyNo} and name = ${name}
        union all select ${COLUMNS}, 2 from shared_flows where name = ${name}
      ) f order by place limit 1`,
  );
}

/** Role app, in `withCompany`. */
export async function listTenantFlows(executor: Executor, companyNo: number): Promise<FlowRow[]> {
  return rows(
    executor,
    sql<FlowRow>`select ${COLUMNS} from tenant_flows where company_no = ${companyNo} order by name`,
  );
}

/** Role app, in `withCompany`. */
export async function putTenantFlow(tx: Tx, companyNo: number, flow: FlowRow): Promise<void> {
  const { name, flowId, action, screen } = flow;
  await sql`insert into tenant_flows (company_no, name, flow_id, action, screen)
    values (${companyNo}, ${name}, ${flowId}, ${action}, ${screen})
    on conflict (company_no, name) do update set flow_id = excluded.flow_id, action = excluded.action,
      screen = excluded.screen, updated_at = clock_timestamp()`.execute(tx);
}

/** True: there was one. Role app, in `withCompany`. */
export async function removeTenantFlow(tx: Tx, companyNo: number, name: string): Promise<boolean> {
  const statement = sql`delete from tenant_flows where company_no = ${companyNo} and name = ${name}`;
  return (await changed(tx, statement)) > 0;
}

/** Role platform. */
export async function listSharedFlows(executor: Executor): Promise<FlowRow[]> {
  return rows(executor, sql<FlowRow>`select ${COLUMNS} from shared_flows order by name`);
}

/** Role platform. */
export async function putSharedFlow(executor: Executor, flow: FlowRow): Promise<void> {
  const { name, flowId, action, screen } = flow;
  await sql`insert into shared_flows (name, flow_id, action, screen)
    values (${name}, ${flowId}, ${action}, ${screen})
    on conflict (name) do update set flow_id = excluded.flow_id, action = excluded.action,
      screen = excluded.screen, updated_at = clock_timestamp()`.execute(executor);
}

/** True: there was one. Role platform. */
export async function removeSharedFlow(executor: Executor, name: string): Promise<boolean> {
  return (await changed(executor, sql`delete from shared_flows where name = ${name}`)) > 0;
}

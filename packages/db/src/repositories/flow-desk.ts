/** What the endpoint of a company's flows needs, at once: its keys, and who fills the screens. */
import { sql } from "kysely";
import type { Keyring, SealContext, Sealer } from "../crypto/keyring.ts";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import { flowKeyContext } from "./flow-keys.ts";

/** `secret`: what requests are signed with. */
export type FlowHandler = { kind: "nats" } | { kind: "https"; url: string; secret: string };

export type FlowDesk = {
  companyNo: number;
  companyId: string;
  /** The current one first. `privateKey`: PKCS #8, DER. */
  keys: { flowKeyId: string; privateKey: Buffer; retiresAt: Date | null }[];
  handler: FlowHandler;
  /** Of this company: opens its tokens. */
  sealer: Sealer;
};

const SECRET: SealContext = { numberNo: null, kind: "flow-handler", key: "secret" };

/** Undefined: there is no such company. Role ingest. */
export async function readFlowDesk(
  executor: Executor,
  keyring: Keyring,
  companyId: string,
): Promise<FlowDesk | undefined> {
  const company = await firstRow(
    executor,
    sql<{ companyNo: number; url: string | null; secret: Buffer | null }>`
      select c.company_no, h.url, h.secret from companies c
      left join flow_handlers h on h.company_no = c.company_no where c.company_id = ${companyId}`,
  );
  if (!company) return undefined;
  const { companyNo, url, secret } = company;
  const keys = await rows(
    executor,
    sql<FlowDesk["keys"][number]>`select flow_key_id, private_key, retires_at from flow_keys
      where company_no = ${companyNo} and (retires_at is null or retires_at > clock_timestamp())
      order by retires_at desc nulls first`,
  );
  const sealer = await keyring.sealer(executor, companyNo);
  return {
    companyNo,
    companyId,
    keys: keys.map((key) =>
      Object.assign({}, key, {
        privateKey: sealer.open(flowKeyContext(key.flowKeyId), key.privateKey),
      }),
    ),
    handler:
      url === null || secret === null
        ? { kind: "nats" }
        : { kind: "https", url, secret: sealer.open(SECRET, secret).toString() },
    sealer,
  };
}

export type FlowHandlerRow = { kind: "nats" | "https"; url: string | null };

/** Without its secret; undefined: nobody has said. Role app, in `withCompany`. */
export async function readFlowHandler(
  executor: Executor,
  companyNo: number,
): Promise<FlowHandlerRow | undefined> {
  return firstRow(
    executor,
    sql<FlowHandlerRow>`select kind, url from flow_handlers where company_no = ${companyNo}`,
  );
}

/** Role app, in `withCompany`. */
export async function putFlowHandler(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  handler: FlowHandler,
): Promise<void> {
  const isUrl = handler.kind === "https";
  const sealer = await keyring.sealer(tx, companyNo);
  const secret = isUrl ? sealer.seal(SECRET, Buffer.from(handler.secret)) : null;
  await sql`insert into flow_handlers (company_no, kind, url, secret)
    values (${companyNo}, ${handler.kind}, ${isUrl ? handler.url : null}, ${secret}::bytea)
    on conflict (company_no) do update set kind = excluded.kind, url = excluded.url,
      secret = excluded.secret, updated_at = clock_timestamp()`.execute(tx);
}

/** True: there was one. Role app, in `withCompany`. */
export async function removeFlowHandler(tx: Tx, companyNo: number): Promise<boolean> {
  return (await changed(tx, sql`delete from flow_handlers where company_no = ${companyNo}`)) > 0;
}

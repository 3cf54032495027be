/** Companies' key pairs for flows. */
import { sql } from "kysely";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

export type FlowKeyInput = {
  flowKeyId: string;
  /** SPKI, PEM. */
  publicKey: string;
  /** SHA-256 of the public key, in hex. */
  fingerprint: string;
  /** PKCS #8, DER. */
  privateKey: Buffer;
};

/** Without its private part. */
export type FlowKeyRow = Omit<FlowKeyInput, "privateKey"> & {
  createdAt: Date;
  /** Null: it is the current one. */
  retiresAt: Date | null;
};

export const flowKeyContext = (flowKeyId: string): SealContext => ({
  numberNo: null,
  kind: "flow-key",
  key: flowKeyId,
});

const LISTED = sql`flow_key_id, public_key, fingerprint, created_at, retires_at`;
const LIVING = sql`(retires_at is null or retires_at > clock_timestamp())`;

/** Keys that answer, the current one first. Role app, in `withCompany`, or worker. */
export async function listFlowKeys(executor: Executor, companyNo: number): Promise<FlowKeyRow[]> {
  return rows(
    executor,
    sql<FlowKeyRow>`select ${LISTED} from flow_keys
      where company_no = ${companyNo} and ${LIVING} order by retires_at desc nulls first`,
  );
}

/** From now on the keys of this company are as they are until the transaction ends. */
export async function lockFlowKeys(tx: Tx, companyNo: number): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('flow_keys'), ${companyNo})`.execute(tx);
}

/**
 * Makes this the current key; the one that was current answers for `overlapMs` more. Role app, in `withCompany`, after
 * `lockFlowKeys`.
 */
export async function addFlowKey(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  { flowKeyId, publicKey, fingerprint, privateKey }: FlowKeyInput,
  overlapMs: number,
): Promise<void> {
  const sealer = await keyring.sealer(tx, companyNo);
  const sealed = sealer.seal(flowKeyContext(flowKeyId), privateKey);
  await sql`update flow_keys
    set retires_at = clock_timestamp() + ${overlapMs}::bigint * interval '1 millisecond'
    where company_no = ${companyNo} and retires_at is null`.execute(tx);
  await sql`insert into flow_keys (company_no, flow_key_id, public_key, fingerprint, private_key)
    values (${companyNo}, ${flowKeyId}, ${publicKey}, ${fingerprint}, ${sealed})`.execute(tx);
}

/** A former key answers no more. False: there is no such former key. Role app, in `withCompany`. */
export async function endFlowKey(tx: Tx, companyNo: number, flowKeyId: string): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update flow_keys set retires_at = clock_timestamp()
      where company_no = ${companyNo} and flow_key_id = ${flowKeyId} and retires_at > clock_timestamp()`,
  );
  return count > 0;
}

/** The key that numbers should have at Meta. Role worker. */
export async function currentFlowKey(
  executor: Executor,
  companyNo: number,
): Promise<FlowKeyRow | undefined> {
  return firstRow(
    executor,
    sql<FlowKeyRow>`select ${LISTED} from flow_keys
      where company_no = ${companyNo} and retires_at is null`,
  );
}

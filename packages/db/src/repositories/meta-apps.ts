/** Companies' own Meta apps. */
import { sql } from "kysely";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import { changed, type Executor, firstRow, type Tx } from "../open.ts";

export type MetaApp = {
  companyNo: number;
  companyId: string;
  appId: string | null;
  /** The current one first; a former one while it still counts. */
  secrets: string[];
  verifyToken: string;
};

export type MetaAppInput = { appId: string | null; appSecret: string; verifyToken: string };

const contextOf = (key: string): SealContext => ({ numberNo: null, kind: "meta-app", key });

/**
 * Sets a company's app. Another secret than the stored one takes its place; that still counts for
 * `previousForMs`, so that what is under way is not refused. Role app, in `withCompany`.
 */
export async function putMetaApp(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  input: MetaAppInput,
  previousForMs = 86_400_000,
): Promise<void> {
  const sealer = await keyring.sealer(tx, companyNo);
  const seal = (key: string, text: string): Buffer =>
    sealer.seal(contextOf(key), Buffer.from(text));
  const stored = await firstRow(
    tx,
    sql<{
      appSecret: Buffer;
    }>`select app_secret from meta_apps where company_no = ${companyNo} for update`,
  );
  const former = stored && sealer.open(contextOf("secret"), stored.appSecret).toString();
  const isOther = former !== undefined && former !== input.appSecret;
  const previous = isOther ? seal("previous", former) : null;
  const until = isOther ? new Date(Date.now() + previousForMs) : null;
  await sql`insert into meta_apps (company_no, app_id, app_secret, verify_token)
    values (${companyNo}, ${input.appId}, ${seal("secret", input.appSecret)}, ${seal("verify", input.verifyToken)})
    on conflict (company_no) do update set app_id = excluded.app_id, app_secret = excluded.app_secret,
      verify_token = excluded.verify_token, updated_at = clock_timestamp(),
      previous_secret = coalesce(${previous}::bytea, meta_apps.previous_secret),
      previous_until = coalesce(${until}::timestamptz, meta_apps.previous_until)`.execute(tx);
}

/** True: the company had an app of its own. Role app, in `withCompany`. */
export async function removeMetaApp(tx: Tx, companyNo: number): Promise<boolean> {
  return (await changed(tx, sql`delete from meta_apps where company_no = ${companyNo}`)) > 0;
}

type AppRow = {
  companyNo: number;
  appId: string | null;
  appSecret: Buffer;
  previousSecret: Buffer | null;
  verifyToken: Buffer;
};

/** The app of a company by its outer id; undefined: it has none, or there is no such company. Role ingest. */
export async function readMetaApp(
  executor: Executor,
  keyring: Keyring,
  companyId: string,
): Promise<MetaApp | undefined> {
  const row = await firstRow(
    executor,
    sql<AppRow>`select a.company_no, a.app_id, a.app_secret, a.verify_token,
        case when a.previous_until > clock_timestamp() then a.previous_secret end as previous_secret
      from meta_apps a join companies c on c.company_no = a.company_no where c.company_id = ${companyId}`,
  );
  if (!row) return undefined;
  const sealer = await keyring.sealer(executor, row.companyNo);
  const open = (key: string, sealed: Buffer): string =>
    sealer.open(contextOf(key), sealed).toString();
  return {
    companyNo: row.companyNo,
    companyId,
    appId: row.appId,
    secrets: [
      open("secret", row.appSecret),
      ...(row.previousSecret ? [open("previous", row.previousSecret)] : []),
    ],
    verifyToken: open("verify", row.verifyToken),
  };
}

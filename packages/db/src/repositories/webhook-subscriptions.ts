/** Where companies want their events sent. */
import { sql } from "kysely";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

/** Without its secrets and headers. */
export type SubscriptionRow = {
  subscriptionId: string;
  url: string;
  events: string[];
  isEnabled: boolean;
  formerUntil: Date | null;
  failures: number;
  failingSince: Date | null;
  lastError: string | null;
  createdAt: Date;
  updatedAt: Date;
};

export type SubscriptionInput = {
  subscriptionId: string;
  url: string;
  events: readonly string[];
  headers: Readonly<Record<string, string>>;
  secret: string;
};

type Part = "secret" | "headers";

export const subscriptionContext = (subscriptionId: string, part: Part): SealContext => ({
  numberNo: null,
  kind: `webhook-${part}`,
  key: subscriptionId,
});

const LISTED = sql`subscription_id, url, events, is_enabled, former_until, failures, failing_since, last_error,
  created_at, updated_at`;

/** Role app, in `withCompany`. The oldest first. */
export async function listSubscriptions(
  executor: Executor,
  companyNo: number,
): Promise<SubscriptionRow[]> {
  return rows(
    executor,
    sql<SubscriptionRow>`select ${LISTED} from webhook_subscriptions
      where company_no = ${companyNo} order by subscription_id`,
  );
}

/** Role app, in `withCompany`. */
export async function getSubscription(
  executor: Executor,
  companyNo: number,
  subscriptionId: string,
): Promise<SubscriptionRow | undefined> {
  return firstRow(
    executor,
    sql<SubscriptionRow>`select ${LISTED} from webhook_subscriptions
      where company_no = ${companyNo} and subscription_id = ${subscriptionId}`,
  );
}

/** False: the company has `most` already. Role app, in `withCompany`. */
export async function addSubscription(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  input: SubscriptionInput,
  most: number,
): Promise<boolean> {
  const { subscriptionId, url, events, headers, secret } = input;
  await sql`select pg_advisory_xact_lock(hashtext('webhook_subscriptions'), ${companyNo})`.execute(
    tx,
  );
  const sealer = await keyring.sealer(tx, companyNo);
  const seal = (part: Part, text: string): Buffer =>
    sealer.seal(subscriptionContext(subscriptionId, part), Buffer.from(text));
  const count = await changed(
    tx,
    sql`insert into webhook_subscriptions (company_no, subscription_id, url, events, headers, secret)
      select ${companyNo}, ${subscriptionId}, ${url}, ${[...events]}::text[],
        ${seal("headers", JSON.stringify(headers))}::bytea, ${seal("secret", secret)}::bytea
      where (select count(*) from webhook_subscriptions where company_no = ${companyNo}) < ${most}`,
  );
  return count > 0;
}

export type SubscriptionPatch = {
  url?: string | undefined;
  events?: readonly string[] | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
  isEnabled?: boolean | undefined;
};

/** Switching on, or another address, forgets the failures. False: there is none. Role app, in `withCompany`. */
export async function changeSubscription(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  subscriptionId: string,
  { url, events, headers, isEnabled }: SubscriptionPatch,
): Promise<boolean> {
  const sealer = await keyring.sealer(tx, companyNo);
  const sealed =
    headers === undefined
      ? null
      : sealer.seal(
          subscriptionContext(subscriptionId, "headers"),
          Buffer.from(JSON.stringify(headers)),
        );
  const isFresh = url !== undefined || isEnabled === true;
  const count = await changed(
    tx,
    sql`update webhook_subscriptions set
        url = coalesce(${url ?? null}, url),
        events = coalesce(${events === undefined ? null : [...events]}::text[], events),
        headers = coalesce(${sealed}::bytea, headers),
        is_enabled = coalesce(${isEnabled ?? null}::boolean, is_enabled),
        failures = case when ${isFresh} then 0 else failures end,
        failing_since = case when ${isFresh} then null else failing_since end,
        last_error = case when ${isFresh} then null else last_error end,
        next_try_at = case when ${isFresh} then null else next_try_at end,
        updated_at = clock_timestamp()
      where company_no = ${companyNo} and subscription_id = ${subscriptionId}`,
  );
  return count > 0;
}

/** The secret there was goes on signing for `overlapMs`. False: there is none. Role app, in `withCompany`. */
export async function rotateSubscriptionSecret(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  subscriptionId: string,
  { secret, overlapMs }: { secret: string; overlapMs: number },
): Promise<boolean> {
  const sealer = await keyring.sealer(tx, companyNo);
  const sealed = sealer.seal(subscriptionContext(subscriptionId, "secret"), Buffer.from(secret));
  const count = await changed(
    tx,
    sql`update webhook_subscriptions set secret = ${sealed}, former_secret = secret,
        former_until = clock_timestamp() + ${overlapMs}::bigint * interval '1 millisecond',
        updated_at = clock_timestamp()
      where company_no = ${companyNo} and subscription_id = ${subscriptionId}`,
  );
  return count > 0;
}

/** With its deliveries. True: there was one. Role app, in `withCompany`. */
export async function removeSubscription(
  tx: Tx,
  companyNo: number,
  subscriptionId: string,
): Promise<boolean> {
  const count = await changed(
    tx,
    sql`delete from webhook_subscriptions
      where company_no = ${companyNo} and subscription_id = ${subscriptionId}`,
  );
  return count > 0;
}

/** What a delivery is sent with. */
export type Endpoint = {
  companyId: string;
  url: string;
  headers: Record<string, string>;
  /** The current one first. */
  secrets: string[];
  failures: number;
  failingSince: Date | null;
  lastError: string | null;
};

/** Undefined: it is gone or switched off. Role notify. */
export async function readEndpoint(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  subscriptionId: string,
): Promise<Endpoint | undefined> {
  const row = await firstRow(
    executor,
    sql<{
      companyId: string;
      url: string;
      headers: Buffer | null;
      secret: Buffer;
      former: Buffer | null;
      failures: number;
      failingSince: Date | null;
      lastError: string | null;
    }>`select c.company_id, s.url, s.headers, s.secret, s.failures, s.failing_since, s.last_error,
        case when s.former_until > clock_timestamp() then s.former_secret end as former
      from webhook_subscriptions s join companies c on c.company_no = s.company_no
      where s.company_no = ${companyNo} and s.subscription_id = ${subscriptionId} and s.is_enabled`,
  );
  if (!row) return undefined;
  const sealer = await keyring.sealer(executor, companyNo);
  const open = (part: Part, sealed: Buffer): string =>
    sealer.open(subscriptionContext(subscriptionId, part), sealed).toString();
  const { companyId, url, headers, secret, former, failures, failingSince, lastError } = row;
  return {
    companyId,
    url,
    headers: headers ? (JSON.parse(open("headers", headers)) as Record<string, string>) : {},
    secrets: [open("secret", secret), ...(former ? [open("secret", former)] : [])],
    failures,
    failingSince,
    lastError,
  };
}

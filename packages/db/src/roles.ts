/**
 * The database roles. `owner` (whoever the owner URL names) runs migrations and owns the tables; each
 * service logs in as one of the others and has only what its work needs.
 *
 * - `app`: the gateway's company routes; sees one company per transaction.
 * - `platform`: the gateway's admin routes; sees all companies, no credentials.
 * - `worker`: session-worker; reads all, writes a number's rows only while it holds the number's fence.
 * - `ingest`: webhook-ingest; finds the numbers that webhooks are for and writes for those what comes in.
 * - `notify`: notifier; queues and delivers the events of all companies to their webhooks and to their people.
 * - `relay`: reads the event log and marks what was published.
 */
export const DB_ROLES = ["app", "platform", "worker", "ingest", "notify", "relay"] as const;
export type DbRole = (typeof DB_ROLES)[number];

/** The Postgres login of a role. */
export function loginOf(role: DbRole): string {
  return `manyline_${role}`;
}

/**
 * How long a transaction may sit idle before Postgres ends it, by role. A frozen worker must not keep a
 * fence row locked for longer than its lease lives; the relay waits for NATS inside its transaction.
 */
export const IDLE_IN_TRANSACTION_MS: Record<DbRole, number> = {
  app: 15_000,
  platform: 30_000,
  worker: 5_000,
  ingest: 5_000,
  notify: 5_000,
  relay: 30_000,
};

/** The URL of a role on the database that `ownerUrl` names. */
export function roleUrl(ownerUrl: string, role: DbRole, password: string): string {
  const url = new URL(ownerUrl);
  url.username = loginOf(role);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** A real, migrated database for a test file of any room. Not for services. */
import { createHash, hkdfSync } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { testDatabase, type TestDatabaseOptions } from "@manyline/testkit";
import { sql } from "kysely";
import { createKeyring, type Keyring } from "./crypto/keyring.ts";
import { migrate } from "./migrate.ts";
import { SCHEMA_VERSION } from "./migrations/index.ts";
import { openDatabase, rows } from "./open.ts";
import { type DbRole, loginOf } from "./roles.ts";

/** The same for all test databases of a server, because logins belong to the server. */
export const TEST_PASSWORDS: Record<DbRole, string> = {
  app: "test-app",
  platform: "test-platform",
  worker: "test-worker",
  ingest: "test-ingest",
  notify: "test-notify",
  relay: "test-relay",
};

export const TEST_KEKS = [
  { id: "test", key: Buffer.from(hkdfSync("sha256", "manyline test", "", "kek", 32)) },
];

export type OpenTestDatabase = AsyncDisposable & {
  name: string;
  ownerUrl: string;
  /** Sees through row security. */
  superuserUrl: string;
  urls: Record<DbRole, string>;
  keyring: Keyring;
  /** Drops the database; its connections are cut. */
  stop: () => Promise<void>;
};

/**
 * A copy of a migrated template: made once per schema and server, then copied in well under 300 ms.
 * `server`: another Postgres than the suite's.
 */
export async function openTestDatabase(
  options: Pick<TestDatabaseOptions, "server"> = {},
): Promise<OpenTestDatabase> {
  const database = await testDatabase({
    ...options,
    key: schemaKey(),
    migrate: async (ownerUrl) => {
      await migrate({ ownerUrl, passwords: TEST_PASSWORDS });
    },
  });
  const stop = async (): Promise<void> => database[Symbol.asyncDispose]();
  const urlOf = (role: DbRole): string => database.urlFor(loginOf(role), TEST_PASSWORDS[role]);
  return {
    name: database.name,
    ownerUrl: database.url,
    superuserUrl: database.superuserUrl,
    urls: {
      app: urlOf("app"),
      platform: urlOf("platform"),
      worker: urlOf("worker"),
      ingest: urlOf("ingest"),
      notify: urlOf("notify"),
      relay: urlOf("relay"),
    },
    keyring: createKeyring({ keks: TEST_KEKS }),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Runs one statement as the superuser: for what only the server knows, such as its statistics. */
export async function asSuperuser<Row>(
  { superuserUrl }: Pick<OpenTestDatabase, "superuserUrl">,
  statement: string,
): Promise<Row[]> {
  await using db = openDatabase({ url: superuserUrl, applicationName: "test", poolSize: 1 });
  return await rows(db, sql.raw<Row>(statement));
}

/** Changes whenever a migration file does, also one that is still being written. */
function schemaKey(): string {
  const folder = new URL("migrations/", import.meta.url);
  const hash = createHash("sha256");
  for (const file of readdirSync(folder).toSorted())
    hash.update(readFileSync(new URL(file, folder)));
  return `manyline-${SCHEMA_VERSION}-${hash.digest("hex").slice(0, 12)}`;
}

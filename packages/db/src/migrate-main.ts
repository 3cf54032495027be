/**
 * Runs the migrations. DATABASE_OWNER_URL: a login that owns the database and may create roles.
 * MANYLINE_DB_PASSWORDS: JSON, the passwords of the service logins: {"app", "platform", "worker", "ingest", "relay"}.
 */
import { pathToFileURL } from "node:url";
import { migrate } from "./migrate.ts";
import { DB_ROLES, type DbRole } from "./roles.ts";

/** The passwords by role, or an error that names what is missing and never shows a value. */
export function parsePasswords(text: string | undefined): Record<DbRole, string> {
  let value: unknown;
  try {
    value = JSON.parse(text ?? "");
  } catch {
    throw new Error("MANYLINE_DB_PASSWORDS must be JSON with a password for each role");
  }
  const given = new Map(Object.entries(typeof value === "object" && value !== null ? value : {}));
  const password = (role: DbRole): string => {
    const found: unknown = given.get(role);
    if (typeof found !== "string" || found === "") {
      throw new Error(
        `MANYLINE_DB_PASSWORDS: "${role}" is missing (roles: ${DB_ROLES.join(", ")})`,
      );
    }
    return found;
  };
  return {
    app: password("app"),
    platform: password("platform"),
    worker: password("worker"),
    ingest: password("ingest"),
    notify: password("notify"),
    relay: password("relay"),
  };
}

async function main(): Promise<void> {
  const ownerUrl = process.env["DATABASE_OWNER_URL"];
  if (!ownerUrl) throw new Error("DATABASE_OWNER_URL is missing");
  await migrate({
    ownerUrl,
    passwords: parsePasswords(process.env["MANYLINE_DB_PASSWORDS"]),
    logger: {
      info: (fields, message) =>
        process.stdout.write(`${JSON.stringify({ level: "info", message, ...fields })}\n`),
    },
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await main().catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exitCode = 1;
  });
}

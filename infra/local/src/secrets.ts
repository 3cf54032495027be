import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { DbRole } from "@manyline/db";
import { DB_ROLES } from "@manyline/db";
import type { DataPaths } from "./paths.ts";
import { Refusal } from "./refusal.ts";

/** Made once per clone, kept in `.data` with mode 0600. */
export type Secrets = {
  adminToken: string;
  /** Key-encryption key: "<id>:<base64 of 32 bytes>". */
  kek: string;
  databasePasswords: Record<DbRole, string>;
  /** Of the Meta app that serves all companies, where it is a simulated one. */
  metaAppSecret: string;
  metaVerifyToken: string;
  /** Of the application at both WPP servers, where they are simulated ones. */
  wppSecret: string;
};

type Stored = Partial<Omit<Secrets, "adminToken" | "databasePasswords">> & {
  databasePasswords?: Record<string, string>;
};

/** Reads the secrets of this clone, making what is not there yet (a newer version may need more roles). */
export async function loadSecrets(paths: DataPaths): Promise<Secrets> {
  const stored = readStored(paths.secrets);
  const adminToken = readText(paths.adminToken) ?? `adm_${randomBytes(32).toString("base64url")}`;
  const secrets: Secrets = {
    adminToken,
    kek: stored.kek ?? `local-1:${randomBytes(32).toString("base64")}`,
    databasePasswords: passwordsFor(stored.databasePasswords ?? {}),
    metaAppSecret: stored.metaAppSecret ?? randomBytes(16).toString("hex"),
    metaVerifyToken: stored.metaVerifyToken ?? randomBytes(16).toString("hex"),
    wppSecret: stored.wppSecret ?? randomBytes(16).toString("hex"),
  };
  const { adminToken: _inItsOwnFile, ...kept } = secrets;
  await writeSecret(paths.secrets, JSON.stringify(kept, undefined, 2));
  await writeSecret(paths.adminToken, adminToken);
  return secrets;
}

function passwordsFor(stored: Record<string, string>): Record<DbRole, string> {
  const pairs = DB_ROLES.map((role) => [role, stored[role] ?? randomBytes(24).toString("hex")]);
  return Object.fromEntries(pairs);
}

async function writeSecret(file: string, content: string): Promise<void> {
  if (readText(file) === content) return;
  await writeFile(file, `${content}\n`, { mode: 0o600 });
}

function readText(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
}

function readStored(file: string): Stored {
  const text = readText(file);
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isStored(value)) return value;
  } catch {
    // told below
  }
  throw new Refusal(`${file} is damaged; restore it, or start anew with: npm start -- --fresh`);
}

function isStored(value: unknown): value is Stored {
  return (
    typeof value === "object" &&
    value !== null &&
    "kek" in value &&
    typeof value.kek === "string" &&
    "databasePasswords" in value &&
    typeof value.databasePasswords === "object" &&
    value.databasePasswords !== null
  );
}

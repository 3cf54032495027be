import { createHash, randomBytes } from "node:crypto";
import type { Scope } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

export type TokenKind = "api" | "link" | "cookie";

export type TokenInput = {
  /** null: an admin token, whose scopes must be `["admin"]`. */
  companyNo: number | null;
  name: string;
  scopes: readonly Scope[];
  /** Links and cookies must have one. */
  ttlMs?: number;
  /** The number a link or cookie is for; an API token may be bound to one, too. */
  numberNo?: number;
  kind: TokenKind;
};

/** Who is calling. `companyNo` null: the admin. */
export type Authenticated = {
  tokenId: string;
  companyNo: number | null;
  companyId: string | null;
  numberNo: number | null;
  numberId: string | null;
  /** Never a link: those are only exchanged. */
  kind: TokenKind;
  scopes: Scope[];
  expiresAt: Date | null;
};

export type TokenRow = {
  tokenId: string;
  companyNo: number | null;
  numberNo: number | null;
  kind: TokenKind;
  name: string;
  scopes: Scope[];
  expiresAt: Date | null;
  createdAt: Date;
};

const KIND_LETTER: Record<TokenKind, string> = { api: "a", link: "l", cookie: "c" };

function newSecret(kind: TokenKind): { tokenId: string; secret: string } {
  const tokenId = randomBytes(8).toString("hex");
  const random = randomBytes(32).toString("base64url");
  return { tokenId, secret: `mly_${KIND_LETTER[kind]}_${tokenId}_${random}` };
}

/** A secret has 256 random bits, so a plain hash is enough: there is nothing to guess. */
function hashOf(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Makes a token. The secret is in this answer and nowhere else. */
export async function createToken(
  executor: Executor,
  input: TokenInput,
): Promise<{ tokenId: string; secret: string; expiresAt: Date | null }> {
  const { tokenId, secret } = newSecret(input.kind);
  const row = await firstRow(
    executor,
    sql<{ expiresAt: Date | null }>`
      insert into api_tokens (token_hash, token_id, company_no, number_no, kind, name, scopes, expires_at)
      values (${hashOf(secret)}, ${tokenId}, ${input.companyNo}, ${input.numberNo ?? null},
        ${input.kind}, ${input.name}, ${[...input.scopes]}::text[],
        date_trunc('milliseconds', clock_timestamp())
          + ${input.ttlMs ?? null}::bigint * interval '1 millisecond')
      returning expires_at`,
  );
  return { tokenId, secret, expiresAt: row?.expiresAt ?? null };
}

/**
 * Whose secret this is, or undefined: unknown, expired, revoked, or a link (which is only exchanged).
 * Needs no company set.
 */
export async function authenticate(
  executor: Executor,
  secret: string,
): Promise<Authenticated | undefined> {
  return firstRow(executor, sql<Authenticated>`select * from authenticate(${hashOf(secret)})`);
}

/** Trades a pairing link for a cookie: once, a lasting one ten times. Needs no company set. */
export async function exchangeLink(
  executor: Executor,
  linkSecret: string,
  cookieTtlMs: number,
): Promise<
  | {
      secret: string;
      companyNo: number;
      companyId: string;
      numberNo: number;
      numberId: string;
      scopes: Scope[];
      expiresAt: Date;
    }
  | undefined
> {
  const { tokenId, secret } = newSecret("cookie");
  const row = await firstRow(
    executor,
    sql<{
      companyNo: number;
      companyId: string;
      numberNo: number;
      numberId: string;
      scopes: Scope[];
      expiresAt: Date;
    }>`select * from exchange_link(${hashOf(linkSecret)}, ${hashOf(secret)}, ${tokenId}, ${cookieTtlMs})`,
  );
  return row === undefined ? undefined : { secret, ...row };
}

/** A link for a mail: lasting, for one number. Role notify. */
export async function createNoticeLink(
  executor: Executor,
  input: { companyNo: number; numberNo: number; scopes: readonly Scope[]; ttlMs: number },
): Promise<string> {
  const { companyNo, numberNo, scopes, ttlMs } = input;
  const { tokenId, secret } = newSecret("link");
  await sql`select make_notice_link(${hashOf(secret)}, ${tokenId}, ${companyNo}::int, ${numberNo}::int,
    ${[...scopes]}::text[], ${ttlMs}::bigint)`.execute(executor);
  return secret;
}

/** The links in mails about these numbers work no more. Role notify. */
export async function endNoticeLinks(
  executor: Executor,
  numbers: readonly { companyNo: number; numberNo: number }[],
): Promise<void> {
  await sql`select end_notice_links(${numbers.map((one) => one.companyNo)}::int[],
    ${numbers.map((one) => one.numberNo)}::int[])`.execute(executor);
}

/** Ends a token at once. `companyNo` null: an admin token. False when it is not there or ended already. */
export async function revokeToken(
  executor: Executor,
  companyNo: number | null,
  tokenId: string,
): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update api_tokens set revoked_at = clock_timestamp()
      where company_no is not distinct from ${companyNo} and token_id = ${tokenId} and revoked_at is null`,
  );
  return count > 0;
}

/** Tokens that work now, newest first. */
export async function listTokens(
  executor: Executor,
  companyNo: number | null,
): Promise<TokenRow[]> {
  return rows(
    executor,
    sql<TokenRow>`
      select token_id, company_no, number_no, kind, name, scopes, expires_at, created_at from api_tokens
      where company_no is not distinct from ${companyNo} and revoked_at is null
        and (expires_at is null or expires_at > clock_timestamp())
      order by created_at desc, token_id`,
  );
}

const ENVIRONMENT_TOKEN = "environment";

/**
 * The admin token given by the environment works, and the one given before no longer does. Role platform;
 * several processes may call it at the same time.
 */
export async function ensureAdminToken(tx: Tx, secret: string): Promise<void> {
  const hash = hashOf(secret);
  await sql`select pg_advisory_xact_lock(hashtext('ensure_admin_token'))`.execute(tx);
  await sql`update api_tokens set revoked_at = clock_timestamp()
    where company_no is null and name = ${ENVIRONMENT_TOKEN} and revoked_at is null
      and token_hash <> ${hash}`.execute(tx);
  await sql`insert into api_tokens (token_hash, token_id, company_no, kind, name, scopes)
    values (${hash}, ${hash.toString("hex").slice(0, 16)}, null, 'api', ${ENVIRONMENT_TOKEN}, '{admin}')
    on conflict (token_hash) do nothing`.execute(tx);
  await sql`update api_tokens set revoked_at = null where token_hash = ${hash}`.execute(tx);
}

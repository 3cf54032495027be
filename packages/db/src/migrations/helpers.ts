/** Pieces of SQL that migrations share. Changing them changes the past: add, never edit. */
import { type Kysely, sql } from "kysely";
import type { DbRole } from "../roles.ts";
import { loginOf } from "../roles.ts";

/** Runs a text of several statements. */
export async function run(db: Kysely<unknown>, text: string): Promise<void> {
  await sql.raw(text).execute(db);
}

/**
 * The row is of the company that the transaction has set. The nullif is needed: after a transaction-local
 * set_config the setting is '' rather than NULL, and ''::int raises.
 */
export const OWN = "company_no = nullif(current_setting('app.company_no', true), '')::int";

/** The row is of the company whose number's fence the transaction holds. */
export const HELD_COMPANY =
  "company_no = nullif(current_setting('app.held_company', true), '')::int";

/** The row is of the number whose fence the transaction holds (`hold_fence`). */
export const HELD = `${HELD_COMPANY} and number_no = nullif(current_setting('app.held_number', true), '')::int`;

/** Row security on, for the table's owner as well. */
export function protect(...tables: string[]): string {
  return tables
    .map(
      (table) =>
        `alter table ${table} enable row level security; alter table ${table} force row level security;`,
    )
    .join("\n");
}

type Action = "all" | "select" | "insert" | "update" | "delete";

/**
 * One policy. `using` judges rows that are there, `check` rows to be written (default: the same).
 * `owner` is the role that runs the migrations: its SECURITY DEFINER functions are judged too.
 */
export function policy(
  table: string,
  role: DbRole | "owner",
  action: Action,
  using: string,
  check = using,
): string {
  const parts = [
    `create policy ${role}_${action} on ${table} for ${action}`,
    `to ${role === "owner" ? "current_user" : loginOf(role)}`,
  ];
  if (action !== "insert") parts.push(`using (${using})`);
  if (action === "all" || action === "insert" || action === "update") {
    parts.push(`with check (${check})`);
  }
  return `${parts.join(" ")};`;
}

export function grant(role: DbRole, rights: string, on: string): string {
  return `grant ${rights} on ${on} to ${loginOf(role)};`;
}

/** A function is for the named roles only (by default Postgres lets everybody call it). */
export function onlyFor(signature: string, ...roles: DbRole[]): string {
  return [
    `revoke all on function ${signature} from public;`,
    ...roles.map((role) => `grant execute on function ${signature} to ${loginOf(role)};`),
  ].join("\n");
}

const heldSetting = (name: string, type: string): string =>
  `(select nullif(current_setting('app.held_${name}', true), '')::${type})::${type}`;

/**
 * The company is one of those of which the transaction holds a fence. The settings are read in sub-selects,
 * once per statement and not once per row.
 */
export const ANY_HELD_COMPANY = `company_no = any (${heldSetting("companies", "int[]")})`;

/** Where the number stands among those whose fences are held: the three settings belong together by place. */
const heldPlace = `array_position(${heldSetting("numbers", "int[]")}, number_no)`;

/**
 * The row is of a number whose fence the transaction holds (`hold_fence`, `hold_fences`), and of its company.
 * The last condition says it all; those before it let the planner see that few rows pass and which index
 * finds them, without which it reads the whole table.
 */
export const ANY_HELD = [
  ANY_HELD_COMPANY,
  `number_no = any (${heldSetting("numbers", "int[]")})`,
  `company_no = (${heldSetting("companies", "int[]")})[${heldPlace}]`,
].join(" and ");

/** The epoch under which the fence of the row's number is held. */
export const HELD_EPOCH = `(${heldSetting("epochs", "bigint[]")})[${heldPlace}]`;

/** Other expressions for a policy that is there. */
export function alterPolicy(
  table: string,
  role: DbRole | "owner",
  action: Action,
  using: string,
  check = using,
): string {
  const parts = [`alter policy ${role}_${action} on ${table}`];
  if (action !== "insert") parts.push(`using (${using})`);
  if (action === "all" || action === "insert" || action === "update") {
    parts.push(`with check (${check})`);
  }
  return `${parts.join(" ")};`;
}

export function revoke(role: DbRole, rights: string, on: string): string {
  return `revoke ${rights} on ${on} from ${loginOf(role)};`;
}

/** Another text for one place of a function that is there. Throws when the place is not found. */
export async function replaceIn(
  db: Kysely<unknown>,
  name: string,
  before: string,
  after: readonly string[],
): Promise<void> {
  const { rows } = await sql<{ text: string }>`select pg_get_functiondef(oid) as text from pg_proc
    where proname = ${name} and pronamespace = 'public'::regnamespace`.execute(db);
  const [only, ...more] = rows;
  const parts = only?.text.split(before) ?? [];
  if (parts.length !== 2 || more.length > 0) throw new Error(`${name} is not as expected`);
  await run(db, parts.join(after.join("\n")));
}

export type Change = { before: string; after: string };

/** The same for many places, which are whole only together. Throws when one of them is not found once. */
export async function rewrite(
  db: Kysely<unknown>,
  name: string,
  changes: readonly Change[],
): Promise<void> {
  const { rows } = await sql<{ text: string }>`select pg_get_functiondef(oid) as text from pg_proc
    where proname = ${name} and pronamespace = 'public'::regnamespace`.execute(db);
  const [only, ...more] = rows;
  if (!only || more.length > 0) throw new Error(`${name} is not as expected`);
  const text = changes.reduce((whole, { before, after }) => {
    const parts = whole.split(before);
    if (parts.length !== 2) throw new Error(`${name} has not once: ${before}`);
    return parts.join(after);
  }, only.text);
  await run(db, text);
}

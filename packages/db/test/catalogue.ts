/** Questions to the catalogue of Postgres. */
import type { World } from "./support.ts";

/** Every table and view with company data, partitions apart. */
export async function companyTables(world: World, kinds: string[]): Promise<string[]> {
  const { rows } = await world.superuser.query<{ relname: string }>(
    `select c.relname from pg_class c
      where c.relkind = any ($1) and not c.relispartition and c.relnamespace = 'public'::regnamespace
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'company_no')
      order by 1`,
    [kinds],
  );
  return rows.map(({ relname }) => relname);
}

/** Whether a role has the right on any column. */
export async function can(
  world: World,
  role: string,
  table: string,
  right: string,
): Promise<boolean> {
  const { rows } = await world.superuser.query<{ can: boolean }>(
    "select has_any_column_privilege($1, $2, $3) as can",
    [role, table, right],
  );
  return rows[0]?.can ?? false;
}

/** The fence itself: a worker raises it, which is how it is taken from another; a trigger keeps it from falling. */
export const THE_FENCE = "number_fence";

/** Tables whose rows are a number's, partitions too, now and whatever is added. */
export async function numberTables(world: World): Promise<string[]> {
  const { rows } = await world.superuser.query<{ relname: string }>(
    `select c.relname from pg_class c
      where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'number_no')
      order by 1`,
  );
  return rows.map(({ relname }) => relname);
}

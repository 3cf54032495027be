/** A fence for each login, inside the one for each owner. */
import type { Kysely } from "kysely";
import { grant, onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
alter table number_fence add login int not null default 0;
`;

/*
 * A write that its worker gave up (no answer for seconds) may still be in the buffer of a backend that hangs, and
 * run when the next connection of the same number, of the same owner, has long read the keys: it would put
 * older ones back. Each login therefore raises a counter before it reads, waiting for writes under way, and
 * its writes are refused once it is raised again.
 */
const functions = `
create function begin_logins(p_companies int[], p_numbers int[], p_epochs bigint[])
returns table (number_no int, login int)
language sql volatile as $$
  with mine as materialized (
    select f.company_no, f.number_no from unnest(p_companies, p_numbers, p_epochs) as w (company_no, number_no, epoch)
    join number_fence f
      on f.company_no = w.company_no and f.number_no = w.number_no and f.epoch = w.epoch
    order by f.company_no, f.number_no for no key update of f
  )
  update number_fence f set login = f.login + 1 from mine
    where f.company_no = mine.company_no and f.number_no = mine.number_no
    returning f.number_no, f.login
$$;

create function hold_login(p_company int, p_number int, p_epoch bigint, p_login int) returns boolean
language plpgsql as $$
begin
  perform 1 from number_fence
    where company_no = p_company and number_no = p_number and epoch = p_epoch and login = p_login
    for share;
  return found;
end $$;
`;

const security = [
  onlyFor("begin_logins(int[], int[], bigint[])", "worker"),
  onlyFor("hold_login(int, int, bigint, int)", "worker"),
  grant("worker", "update (login)", "number_fence"),
].join("\n");

import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

/*
 * A claim can be committed and its answer get lost on the way: its owner does not know of it, and the command would
 * end at its deadline without ever having been tried. recover_commands puts such commands back into the queue.
 * p_known: what the worker does know of. The attempt counts.
 */
const recovery = `
create function recover_commands(p_worker text, p_shards int[], p_known text[]) returns int
language plpgsql as $$
declare
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
  v_held int[];
  v_count int;
begin
  -- Looks first: there is nearly always nothing, and then no fence is locked.
  select array_agg(n.company_no), array_agg(n.number_no), array_agg(n.epoch)
    into v_companies, v_numbers, v_epochs
    from (
      select distinct c.company_no, c.number_no, l.epoch
      from shard_leases l join shards s on s.shard_id = l.shard_id
      join commands c on c.company_no >= s.lo and c.company_no < s.hi
      where l.owner = p_worker and l.shard_id = any (p_shards)
        and c.state = 'claimed' and c.claimed_epoch = l.epoch and not (c.command_id = any (p_known))
    ) n;
  if v_numbers is null then
    return 0;
  end if;
  v_held := hold_fences(v_companies, v_numbers, v_epochs);
  with lost as materialized (
    select c.company_no, c.command_id
    from unnest(v_companies, v_numbers, v_epochs) as k (company_no, number_no, epoch)
    join commands c on c.company_no = k.company_no and c.number_no = k.number_no
    where k.number_no = any (v_held) and c.state = 'claimed' and c.claimed_epoch = k.epoch
      and not (c.command_id = any (p_known))
    order by c.company_no, c.command_id
    for update of c
  )
  update commands c set state = 'queued'
    from lost l where c.company_no = l.company_no and c.command_id = l.command_id;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, recovery);
  await run(db, onlyFor("recover_commands(text, int[], text[])", "worker"));
}

/** A person may have two phones that are one: Meta names some people otherwise than they were written to. */
import type { Kysely } from "kysely";
import { type Change, onlyFor, rewrite, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, joining);
  await run(db, onlyFor("join_phones(int[], int[], bigint[], text[], text[])", "worker"));
  await rewrite(db, "resolve_contacts", keeping);
}

/*
 * join_phones notes that two phones are of one person: for each pair the number whose fence proves it; a pair of a
 * number whose fence is another's is left out. Give the pairs in the order of their companies. What is known already
 * costs a look and no lock. Answers whom it merged into whom. Two people who are known for good by different names
 * stay two.
 */
const joining = `
create function join_phones(
  p_companies int[], p_numbers int[], p_epochs bigint[], p_phones text[], p_others text[]
) returns table (place int, into_no bigint, lost_no bigint)
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_held int[] := hold_fences(p_companies, p_numbers, p_epochs);
  v_one bigint;
  v_other bigint;
  v_into bigint;
begin
  for v_place in 1 .. cardinality(p_phones) loop
    continue when not p_numbers[v_place] = any (v_held);
    for v_look in 1 .. 2 loop
      v_one := (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[v_place] and a.kind = 'phone' and a.value = p_phones[v_place]);
      v_other := (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[v_place] and a.kind = 'phone' and a.value = p_others[v_place]);
      exit when v_one = v_other or v_look = 2;
      perform pg_advisory_xact_lock(hashtext('contacts'), p_companies[v_place]);
    end loop;
    continue when v_one = v_other or coalesce(v_one, v_other) is null;
    v_into := coalesce(v_one, v_other);
    if v_one <> v_other then
      continue when exists (select from contacts a join contacts b on b.company_no = a.company_no
        where a.company_no = p_companies[v_place] and a.contact_no = v_one and b.contact_no = v_other
          and (a.lid <> b.lid or a.user_id <> b.user_id));
      v_into := merge_contacts(p_companies[v_place], v_one, v_other);
      return query select v_place, v_into, greatest(v_one, v_other);
    end if;
    insert into contact_aliases (company_no, kind, value, contact_no)
      select p_companies[v_place], 'phone', p.value, v_into
      from (values (p_phones[v_place]), (p_others[v_place])) p (value)
      on conflict (company_no, kind, value) do nothing;
  end loop;
end $$;
`;

/*
 * Somebody keeps the phone they are called by when another of their phones names them. With a LID comes the phone that
 * it has now.
 */
const keeping: Change[] = [
  {
    before: `  v_is_same boolean;
begin`,
    after: `  v_is_same boolean;
  v_phone text;
begin`,
  },
  {
    before: `      if v_no is null then
        insert into contacts as c`,
    after: `      v_phone := p_phones[v_place];
      if v_by.phone = v_no and p_lids[v_place] is null then
        v_phone := coalesce((select c.phone from contacts c
          where c.company_no = p_company and c.contact_no = v_no), v_phone);
      end if;
      if v_no is null then
        insert into contacts as c`,
  },
  {
    before: `            (coalesce(p_names[v_place], c.name), coalesce(p_phones[v_place], c.phone),`,
    after: `            (coalesce(p_names[v_place], c.name), coalesce(v_phone, c.phone),`,
  },
  {
    before: `            name = coalesce(p_names[v_place], c.name), phone = coalesce(p_phones[v_place], c.phone),`,
    after: `            name = coalesce(p_names[v_place], c.name), phone = coalesce(v_phone, c.phone),`,
  },
];

/** What comes in for many numbers is found without looking at each for each, and without the walls' lists as keys. */
import type { Kysely } from "kysely";
import { type Change, rewrite, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, indexes);
  await rewrite(db, "resolve_all_chats", chats);
  await rewrite(db, "open_inbounds", inbound);
}

/*
 * Row security names the companies and numbers that are held as lists. An index that begins with both was read with
 * these lists, sorted anew for each chat that was looked for. A contact is of one company and a number is its own among
 * those of all, so the expression keeps a chat with somebody from being there twice, and no list fits it.
 */
const indexes = `
drop index chats_of_contact;
drop index chats_contact;
create unique index chats_contact on chats (contact_no, (number_no + 0))
  where contact_no is not null and merged_into is null;
drop index chats_of_group;
drop index chats_provider;
create unique index chats_provider on chats (provider_chat_id, (number_no + 0)) where provider_chat_id is not null;
`;

/* Whose they are, row security asks of each. */
const chats: Change[] = [
  {
    before: `  perform 1 from unnest(p_companies || p_also_companies, v_nos || p_also) as w (company, chat_no)
    join chats c on c.chat_no = any (v_nos || p_also) and c.company_no = w.company and c.chat_no = w.chat_no
    order by`,
    after: `  perform 1 from chats c
    where c.company_no = any (p_companies || p_also_companies) and c.chat_no = any (v_nos || p_also)
    order by`,
  },
];

/*
 * People who are known as they are named are read once. Counts and places of chats are looked up in lists: joins of what
 * is given with what is given, without hashes, take each with each.
 */
const inbound: Change[] = [
  {
    before: `  v_persons json;
`,
    after: `  v_persons json;
  v_is_settled boolean;
`,
  },
  {
    before: `        array_agg(false)
      into v_nos, v_settled, v_new
`,
    after: `        array_agg(false),
        json_agg(json_build_array(c.contact_no, c.contact_id, c.phone, c.lid, c.user_id, c.username, c.name, false,
          '{}'::text[]) order by i.place),
        bool_and(c.merged_into is null)
      into v_nos, v_settled, v_new, v_persons, v_is_settled
`,
  },
  {
    before: `      left join lateral (select c.contact_no, c.name from contacts c
        where c.company_no = p_companies[i.at] and c.contact_no = k.contact_no offset 0) c on true;
`,
    after: `      left join lateral (
        select c.contact_no, c.contact_id, c.phone, c.lid, c.user_id, c.username, c.name, c.merged_into from contacts c
        where c.company_no = p_companies[i.at] and c.contact_no = k.contact_no offset 0) c on true;
    v_is_settled := v_is_settled and not false = any (v_settled);
`,
  },
  {
    before: `    select array_agg(r.contact_no order by i.place),
        json_agg(`,
    after: `    if not v_is_settled then
    select array_agg(r.contact_no order by i.place),
        json_agg(`,
  },
  {
    before: `c.merged_into end
        offset 0) r;
`,
    after: `c.merged_into end
        offset 0) r;
    end if;
`,
  },
  {
    before: `  ), raised as (
    update chats c set seq = c.seq + n.count,
        last_message_at = greatest(c.last_message_at, n.message_at),
        last_inbound_at = greatest(c.last_inbound_at, n.inbound_at)
      from (
        select j.company_no, j.chat_no, count(*) as count,`,
    after: `  ), counted as materialized (
    select array_agg(n.chat_no) as nos, array_agg(n.count) as counts, array_agg(n.message_at) as message_ats,
        array_agg(n.inbound_at) as inbound_ats
      from (
        select j.chat_no, count(*) as count,`,
  },
  {
    before: `        from judged j where j.outcome <> 'repeated' group by j.company_no, j.chat_no
      ) n
      where c.chat_no = any (v_chat_nos) and c.company_no = n.company_no and c.chat_no = n.chat_no
      returning c.chat_no, c.seq - n.count as before
  )
  select json_agg(json_build_array(j.outcome, j.message_id, j.target_id, r.before + j.nth,
      j.target_place) order by j.place)`,
    after: `        from judged j where j.outcome <> 'repeated' group by j.chat_no
      ) n
  ), raised as (
    update chats c set seq = c.seq + n.counts[array_position(n.nos, c.chat_no)],
        last_message_at = greatest(c.last_message_at, n.message_ats[array_position(n.nos, c.chat_no)]),
        last_inbound_at = greatest(c.last_inbound_at, n.inbound_ats[array_position(n.nos, c.chat_no)])
      from counted n
      where c.chat_no = any (v_chat_nos) and c.company_no = any (p_companies) and c.chat_no = any (n.nos)
      returning c.chat_no, c.seq - n.counts[array_position(n.nos, c.chat_no)] as before
  ), raises as materialized (
    select array_agg(r.chat_no) as nos, array_agg(r.before) as befores from raised r
  )
  select json_agg(json_build_array(j.outcome, j.message_id, j.target_id,
      r.befores[array_position(r.nos, j.chat_no)] + j.nth, j.target_place) order by j.place)`,
  },
  {
    before: `    ) j left join raised r on r.chat_no = j.chat_no;`,
    after: `    ) j cross join raises r;`,
  },
  {
    before: `    cross join lateral (select c.* from chats c
`,
    after: `    cross join lateral (select c.chat_no, c.chat_id, c.type, c.name, c.contact_no from chats c
`,
  },
];

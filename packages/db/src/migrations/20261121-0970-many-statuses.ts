/** What became of messages of many numbers is noted by one call, not by one per number. */
import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, statuses);
  await run(db, unknown);
  await run(db, security);
}

/*
 * Takes statuses by our id or by WhatsApp's, of numbers in the order of their keys (p_at: which of them), locks chats
 * and then messages, lets through what goes forward, numbers it, and lets the next message of a chat have its turn.
 * Only what waits can expire. Answers what is news, in the order given. If a fence is not held nothing is done: held
 * answers the numbers whose fences are, for another call.
 *
 * Plans are kept: see open_inbounds.
 */
const statuses = `
create function note_all_statuses(
  p_companies int[], p_numbers int[], p_epochs bigint[],
  p_of int[], p_ids text[], p_provider_ids text[], p_states text[], p_ats timestamptz[], p_errors jsonb[]
) returns json
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_held int[] := hold_fences(p_companies, p_numbers, p_epochs);
  v_places int[];
  v_companies int[];
  v_ids text[];
  v_chats bigint[];
  v_closed bigint[];
  v_closed_of int[];
  v_next text[];
  v_news json;
begin
  if cardinality(v_held) < cardinality(p_numbers) then
    return json_build_object('held', v_held);
  end if;
  select array_agg(i.place), array_agg(i.company), array_agg(m.message_id),
      array_agg(coalesce(h.merged_into, h.chat_no))
    into v_places, v_companies, v_ids, v_chats
    from (
      select i.place, i.id, i.provider_id, p_companies[i.at] as company, p_numbers[i.at] as number
      from unnest(p_of, p_ids, p_provider_ids) with ordinality as i (at, id, provider_id, place)
    ) i
    cross join lateral (
      select m.message_id, m.chat_no from messages m
      where m.company_no = i.company and m.message_id = i.id collate "C" and m.number_no = i.number
        and m.direction = 'out'
      union all
      select m.message_id, m.chat_no from messages m
      where i.id is null and m.company_no = i.company and m.number_no = i.number
        and m.provider_message_id = i.provider_id and m.direction = 'out'
      limit 1
    ) m
    cross join lateral (select h.chat_no, h.merged_into from chats h
      where h.company_no = i.company and h.chat_no = m.chat_no offset 0) h;
  if v_ids is null then
    return json_build_object('news', '[]'::json);
  end if;
  perform 1 from unnest(v_companies, v_chats) as w (company, chat_no)
    join chats c on c.chat_no = any (v_chats) and c.company_no = w.company and c.chat_no = w.chat_no
    order by c.company_no, c.number_no, c.chat_no for no key update of c;
  perform 1 from unnest(v_companies, v_ids) as w (company, id)
    join messages m on m.message_id = any (v_ids) and m.company_no = w.company and m.message_id = w.id collate "C"
    order by m.company_no, m.message_id for no key update of m;

  with told as materialized (
    select f.place, p_of[f.place] as at_number, m.company_no, m.message_id, m.chat_no,
      coalesce(h.merged_into, h.chat_no) as root_no, m.is_open,
      p_states[f.place] as state, p_ats[f.place] as at, p_errors[f.place] as error,
      case when p_ids[f.place] is not null then p_provider_ids[f.place] end as provider_id,
      (p_states[f.place] <> 'expired' or m.state = 'queued')
        and state_rank(p_states[f.place]) > greatest(state_rank(m.state), coalesce(max(state_rank(p_states[f.place]))
          over (partition by m.message_id order by f.place rows between unbounded preceding and 1 preceding), -1))
        as is_news
    from unnest(v_places, v_companies, v_ids) as f (place, company, message_id)
    cross join lateral (select m.company_no, m.message_id, m.chat_no, m.is_open, m.state from messages m
      where m.company_no = f.company and m.message_id = f.message_id collate "C" offset 0) m
    cross join lateral (select h.chat_no, h.merged_into from chats h
      where h.company_no = f.company and h.chat_no = m.chat_no offset 0) h
  ), changed as (
    update messages m set state = l.state, state_at = l.at, error = l.error, is_open = false, is_next = false,
        provider_message_id = coalesce(l.provider_id, m.provider_message_id)
      from (select distinct on (message_id) * from told where is_news order by message_id, place desc) l
      where m.message_id = any (v_ids) and m.company_no = l.company_no and m.message_id = l.message_id
      returning m.message_id, m.provider_message_id, m.type, m.text, m.content
  ), raised as (
    update chats c set seq = c.seq + n.count
      from (select company_no, root_no, count(*) as count from told where is_news group by 1, 2) n
      where c.chat_no = any (v_chats) and c.company_no = n.company_no and c.chat_no = n.root_no
      returning c.company_no, c.chat_no, c.chat_id, c.type, c.name, c.contact_no, c.seq - n.count as before
  )
  select json_agg(json_build_object('place', t.place, 'messageId', t.message_id,
        'providerMessageId', g.provider_message_id, 'state', t.state, 'seq', r.before + t.nth,
        'chat', json_build_array(r.chat_no, r.chat_id, r.type, p.contact_id, p.phone, coalesce(r.name, p.name)),
        'person', json_build_array(
          p.contact_no, p.contact_id, p.phone, p.lid, p.user_id, p.username, p.name, false, '{}'::text[]),
        'type', g.type, 'text', g.text, 'content', g.content) order by t.place),
      array_agg(t.chat_no) filter (where t.is_open), array_agg(t.at_number) filter (where t.is_open)
    into v_news, v_closed, v_closed_of
    from (select told.*, row_number() over (partition by root_no order by place) as nth from told where is_news) t
    join changed g on g.message_id = t.message_id
    join raised r on r.chat_no = t.root_no
    left join lateral (select p.* from contacts p
      where p.company_no = r.company_no and p.contact_no = r.contact_no offset 0) p on true;

  if v_closed is not null then
    select array_agg(one.message_id) into v_next
      from (select distinct of, chat_no from unnest(v_closed_of, v_closed) as c (of, chat_no)) c
      cross join lateral (
        select o.message_id from messages o
        where o.company_no = p_companies[c.of] and o.number_no = p_numbers[c.of] and o.chat_no = c.chat_no
          and o.is_open
        order by o.seq, o.created_at limit 1
      ) one;
    update messages m set is_next = true
      where m.company_no = any (v_companies) and m.message_id = any (v_next) and not m.is_next;
  end if;
  return json_build_object('news', coalesce(v_news, '[]'));
end $$;
drop function note_statuses(int, int, bigint, text[], text[], text[], timestamptz[], jsonb[]);
`;

/* The places of statuses whose message is not known, by neither of its ids. */
const unknown = `
create function unknown_statuses(p_companies int[], p_numbers int[], p_ids text[], p_provider_ids text[])
returns int[]
language plpgsql stable set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
begin
  return (
    select coalesce(array_agg(i.place::int order by i.place), '{}')
    from unnest(p_companies, p_numbers, p_ids, p_provider_ids) with ordinality
      as i (company, number, id, provider_id, place)
    left join lateral (
      select true as is_known from messages m where m.company_no = i.company and m.message_id = i.id collate "C"
        and m.number_no = i.number and m.direction = 'out'
      union all
      select true from messages m where m.company_no = i.company and m.number_no = i.number
        and m.provider_message_id = i.provider_id and m.direction = 'out'
      limit 1
    ) m on true
    where m.is_known is null);
end $$;
drop function unknown_statuses(int, int, text[], text[]);
`;

const security = [
  onlyFor(
    "note_all_statuses(int[], int[], bigint[], int[], text[], text[], text[], timestamptz[], jsonb[])",
    "worker",
    "ingest",
  ),
  onlyFor("unknown_statuses(int[], int[], text[], text[])", "ingest"),
].join("\n");

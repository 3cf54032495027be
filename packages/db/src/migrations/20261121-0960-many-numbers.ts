/** What comes in for many numbers at the same moment is stored by one call each, not by one per number. */
import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, chats);
  await run(db, inbound);
  await run(db, storing);
  await run(db, security);
}

/*
 * The chats of many numbers: made, taken over from a contact that was merged, locked. First what is missing in the
 * order of the numbers, then the locks in that order. p_also: chats that are locked along.
 *
 * A plan that is kept was maybe made while a table was empty, and reading all of it is cheapest then. So joins with
 * what is given are lateral and fenced off by "offset 0", or the rows are named a second time by an array.
 */
const chats = `
create function resolve_all_chats(
  p_companies int[], p_numbers int[], p_contacts bigint[], p_groups text[], p_names text[], p_ids text[],
  p_also_companies int[], p_also bigint[]
) returns bigint[]
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_nos bigint[];
  v_is_named boolean;
begin
  for v_try in 1 .. 3 loop
    select array_agg(coalesce(d.chat_no, g.chat_no) order by w.place),
        bool_and(w.name is null or g.chat_no is null or w.name = g.name is true)
      into v_nos, v_is_named
      from unnest(p_companies, p_numbers, p_contacts, p_groups, p_names) with ordinality
        as w (company, number, contact, grp, name, place)
      left join lateral (
        select c.chat_no from chats c where c.company_no = w.company and c.number_no = w.number
          and c.contact_no = w.contact and c.merged_into is null offset 0
      ) d on true
      left join lateral (
        select c.chat_no, c.name from chats c where c.company_no = w.company and c.number_no = w.number
          and c.provider_chat_id = w.grp offset 0
      ) g on true;
    exit when array_position(v_nos, null) is null;
    with kept as (
      select distinct on (w.company, w.number, w.contact) w.company, w.contact, c.chat_no
      from unnest(p_companies, p_numbers, p_contacts, v_nos) as w (company, number, contact, chat_no)
      cross join lateral (
        select c.chat_no from contacts m
        join chats c on c.company_no = m.company_no and c.number_no = w.number and c.contact_no = m.contact_no
          and c.merged_into is null
        where m.company_no = w.company and m.merged_into = w.contact offset 0
      ) c
      where w.chat_no is null order by w.company, w.number, w.contact, c.chat_no
    )
    update chats c set contact_no = k.contact from kept k
      where c.company_no = k.company and c.chat_no = k.chat_no;
    insert into chats (company_no, number_no, chat_id, type, contact_no, provider_chat_id, name)
      select w.company, w.number, w.id, case when w.grp is null then 'direct' else 'group' end, w.contact, w.grp,
        w.name
      from unnest(p_companies, p_numbers, p_contacts, p_groups, p_names, p_ids, v_nos)
        as w (company, number, contact, grp, name, id, chat_no)
      where w.chat_no is null
      order by w.company, w.number, w.contact, w.grp
      on conflict do nothing;
  end loop;
  if array_position(v_nos, null) is not null then
    raise exception 'a chat could not be made';
  end if;
  if not v_is_named then
    update chats c set name = w.name from unnest(p_companies, v_nos, p_names) as w (company, chat_no, name)
      where c.chat_no = any (v_nos) and c.company_no = w.company and c.chat_no = w.chat_no and c.provider_chat_id is not null
        and w.name is not null and c.name is distinct from w.name;
  end if;
  perform 1 from unnest(p_companies || p_also_companies, v_nos || p_also) as w (company, chat_no)
    join chats c on c.chat_no = any (v_nos || p_also) and c.company_no = w.company and c.chat_no = w.chat_no
    order by c.company_no, c.number_no, c.chat_no for no key update of c;
  return v_nos;
end $$;
`;

/*
 * Numbers are given in the order of their keys, each once; people, chats and items by number (p_person_ats, p_chat_ats
 * and p_item_ats say which), and items point to people and chats by place (sender 0: the number itself). If a fence is
 * not held nothing is done: held answers the numbers whose fences are, for another call.
 *
 * The chats are locked before it is decided what is new, so two commits cannot both find a message new, and seq grows
 * in the order of the commits. Those of messages that were sent (p_sent_...) are locked at the same time, for whoever
 * notes in the same transaction what became of these: locks taken in two steps cross those of somebody else. An edit by somebody else than the author is refused; so is a deletion, but for
 * groups, whose admins may. A changed message is looked for in the chat of the change only, among what is stored and
 * among the items; what is not stored yet is named by its place among them.
 */
const inbound = `
create function open_inbounds(
  p_companies int[], p_numbers int[], p_epochs bigint[],
  p_person_ats int[], p_phones text[], p_lids text[], p_users text[], p_usernames text[], p_names text[],
  p_contact_ids text[],
  p_chat_ats int[], p_chat_persons int[], p_chat_groups text[], p_chat_names text[], p_chat_ids text[],
  p_item_ats int[], p_kinds text[], p_chats int[], p_senders int[], p_keys text[], p_targets text[],
  p_hashes bytea[], p_ats timestamptz[],
  p_sent_ats int[], p_sent_ids text[], p_sent_provider_ids text[]
) returns json
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_held int[] := hold_fences(p_companies, p_numbers, p_epochs);
  v_floor text := message_id_from(clock_timestamp() - interval '9 days');
  v_settled boolean[];
  v_group record;
  v_person record;
  v_place int;
  v_lost_no bigint;
  v_nos bigint[];
  v_new boolean[];
  v_lost bigint[] := '{}';
  v_lost_places int[] := '{}';
  v_persons json;
  v_moved json[] := '{}';
  v_chat_nos bigint[] := '{}';
  v_also_companies int[];
  v_also bigint[];
  v_chats json;
  v_items json;
begin
  if cardinality(v_held) < cardinality(p_numbers) then
    return json_build_object('held', v_held);
  end if;

  if cardinality(p_person_ats) > 0 then
    select array_agg(c.contact_no order by i.place),
        array_agg(coalesce(
          (i.lid is null or l.contact_no = c.contact_no) and (i.user_id is null or u.contact_no = c.contact_no)
          and (i.phone is null or p.contact_no = c.contact_no)
          and (i.username is null or n.contact_no = c.contact_no)
          and (i.name is null or i.name = c.name), false) order by i.place),
        array_agg(false)
      into v_nos, v_settled, v_new
      from unnest(p_person_ats, p_phones, p_lids, p_users, p_usernames, p_names) with ordinality
        as i (at, phone, lid, user_id, username, name, place)
      left join lateral (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[i.at] and a.kind = 'lid' and a.value = i.lid offset 0) l on true
      left join lateral (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[i.at] and a.kind = 'user_id' and a.value = i.user_id offset 0) u on true
      left join lateral (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[i.at] and a.kind = 'phone' and a.value = i.phone offset 0) p on true
      left join lateral (select a.contact_no from contact_aliases a
        where a.company_no = p_companies[i.at] and a.kind = 'username' and a.value = i.username offset 0) n on true
      left join lateral (select c.contact_no, c.name from contacts c
        where c.company_no = p_companies[i.at]
          and c.contact_no = coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no) offset 0) c on true;

    if false = any (v_settled) then
      -- Whoever shares a phone or a name with somebody who is not: it may move from the one to the other.
      select array_agg(i.is_settled and not exists (
            select from unnest(p_person_ats, p_phones, p_usernames, v_settled) as o (at, phone, username, is_settled)
            where not o.is_settled and p_companies[o.at] = p_companies[i.at]
              and (o.phone = i.phone or o.username = i.username)) order by i.place)
        into v_settled
        from unnest(p_person_ats, p_phones, p_usernames, v_settled) with ordinality
          as i (at, phone, username, is_settled, place);
      perform pg_advisory_xact_lock(hashtext('contacts'), w.company) from (
        select distinct p_companies[i.at] as company from unnest(p_person_ats, v_settled) as i (at, is_settled)
        where not i.is_settled order by 1) w;
      for v_group in
        select p_companies[i.at] as company, array_agg(i.place::int order by i.place) as places,
          array_agg(i.phone order by i.place) as phones, array_agg(i.lid order by i.place) as lids,
          array_agg(i.user_id order by i.place) as users, array_agg(i.username order by i.place) as usernames,
          array_agg(i.name order by i.place) as names, array_agg(i.id order by i.place) as ids
        from unnest(p_person_ats, p_phones, p_lids, p_users, p_usernames, p_names, p_contact_ids, v_settled)
          with ordinality as i (at, phone, lid, user_id, username, name, id, is_settled, place)
        where not i.is_settled group by 1 order by 1
      loop
        for v_person in select * from resolve_contacts(v_group.company, v_group.phones, v_group.lids,
          v_group.users, v_group.usernames, v_group.names, v_group.ids)
        loop
          v_place := v_group.places[v_person.place];
          v_nos[v_place] := v_person.contact_no;
          v_new[v_place] := v_person.is_new;
          foreach v_lost_no in array v_person.lost loop
            v_lost := v_lost || v_lost_no;
            v_lost_places := v_lost_places || v_place;
            v_moved := v_moved || array(
              select json_build_array(v_person.contact_id, m.chat_id, m.into_id)
              from merge_chats(v_group.company, p_numbers[p_person_ats[v_place]], v_lost_no, v_person.contact_no) m);
          end loop;
        end loop;
      end loop;
    end if;

    select array_agg(r.contact_no order by i.place),
        json_agg(json_build_array(r.contact_no, r.contact_id, r.phone, r.lid, r.user_id, r.username, r.name,
          i.is_new, case when v_lost = '{}' then '{}' else array(
            select o.contact_id from unnest(v_lost, v_lost_places) as l (no, place)
            join contacts o on o.company_no = p_companies[i.at] and o.contact_no = l.no
            where l.place = i.place) end) order by i.place)
      into v_nos, v_persons
      from unnest(p_person_ats, v_nos, v_new) with ordinality as i (at, no, is_new, place)
      cross join lateral (select c.contact_no, c.merged_into from contacts c
        where c.company_no = p_companies[i.at] and c.contact_no = i.no offset 0) c
      cross join lateral (select r.* from contacts r
        where r.company_no = p_companies[i.at] and r.contact_no = coalesce(c.merged_into, c.contact_no)
        offset 0) r;
  end if;

  if cardinality(p_sent_ats) > 0 then
    select array_agg(i.company), array_agg(coalesce(h.merged_into, h.chat_no)) into v_also_companies, v_also
      from (
        select i.id, i.provider_id, p_companies[i.at] as company, p_numbers[i.at] as number
        from unnest(p_sent_ats, p_sent_ids, p_sent_provider_ids) as i (at, id, provider_id)
      ) i
      cross join lateral (
        select m.chat_no from messages m
        where m.company_no = i.company and m.message_id = i.id collate "C" and m.number_no = i.number
          and m.direction = 'out'
        union all
        select m.chat_no from messages m
        where i.id is null and m.company_no = i.company and m.number_no = i.number
          and m.provider_message_id = i.provider_id and m.direction = 'out'
        limit 1
      ) m
      cross join lateral (select h.chat_no, h.merged_into from chats h
        where h.company_no = i.company and h.chat_no = m.chat_no offset 0) h;
  end if;
  if cardinality(p_chat_ats) > 0 or v_also is not null then
    select resolve_all_chats(array_agg(p_companies[w.at] order by w.place), array_agg(p_numbers[w.at] order by w.place),
        array_agg(v_nos[w.person] order by w.place), p_chat_groups, p_chat_names, p_chat_ids, v_also_companies, v_also)
      into v_chat_nos from unnest(p_chat_ats, p_chat_persons) with ordinality as w (at, person, place);
  end if;

  with i as materialized (
    select i.*,
      row_number() over (partition by i.at, i.key, i.contact_no, i.is_message order by i.kind = 'waiting', i.place)
        as turn
    from (
      select i.*, p_companies[i.at] as company_no, p_numbers[i.at] as number_no,
        case when i.sender > 0 then v_nos[i.sender] end as contact_no, v_chat_nos[i.chat] as chat_no,
        i.kind in ('message', 'waiting') as is_message
      from unnest(p_item_ats, p_kinds, p_chats, p_senders, p_keys, p_targets, p_hashes, p_ats) with ordinality
        as i (at, kind, chat, sender, key, target, hash, sent_at, place)
    ) i
  ), found as materialized (
    select i.*, e.message_id, e.state, t.message_id as target_id, b.place as target_place,
      i.kind not in ('edit', 'delete', 'admin_delete') or coalesce(t.is_author, b.is_author, true)
        or (i.kind = 'admin_delete' and p_chat_groups[i.chat] is not null) as is_allowed
    from i
    left join lateral (
      select m.message_id, m.state from (
        select m.message_id, m.state, m.contact_no from messages m
        where i.is_message and m.company_no = i.company_no and m.number_no = i.number_no
          and m.provider_message_id = i.key and m.message_id >= v_floor collate "C" offset 0
      ) m
      left join lateral (select c.merged_into from contacts c
        where c.company_no = i.company_no and c.contact_no = m.contact_no offset 0) c on true
      where coalesce(c.merged_into, m.contact_no) is not distinct from i.contact_no
      order by m.message_id limit 1
    ) e on true
    left join lateral (
      select m.message_id, coalesce(c.merged_into, m.contact_no) is not distinct from i.contact_no as is_author
      from (
        select m.message_id, m.contact_no, m.chat_no from messages m
        where i.target is not null and m.company_no = i.company_no and m.number_no = i.number_no
          and m.provider_message_id = i.target offset 0
      ) m
      cross join lateral (select h.chat_no, h.merged_into from chats h
        where h.company_no = i.company_no and h.chat_no = m.chat_no offset 0) h
      left join lateral (select c.merged_into from contacts c
        where c.company_no = i.company_no and c.contact_no = m.contact_no offset 0) c on true
      where i.is_message or coalesce(h.merged_into, h.chat_no) = i.chat_no
      order by m.message_id desc limit 1
    ) t on true
    left join lateral (
      select b.place, b.contact_no is not distinct from i.contact_no as is_author from i b
      where i.target is not null and t.message_id is null and b.is_message and b.turn = 1 and b.at = i.at
        and b.key = i.target and b.place <> i.place and (i.is_message or b.chat_no = i.chat_no)
      order by b.place desc limit 1
    ) b on true
  ), noted as (
    insert into seen (company_no, number_no, hash)
      select f.company_no, f.number_no, f.hash from found f where f.hash is not null
      order by f.company_no, f.number_no, f.hash
      on conflict do nothing returning number_no, hash
  ), judged as materialized (
    select f.*, case
        when f.turn > 1 or not f.is_allowed then 'repeated'
        when not f.is_message then case when exists (
            select from noted n where n.number_no = f.number_no and n.hash = f.hash)
          then 'new' else 'repeated' end
        when f.message_id is null then 'new'
        when f.state = 'waiting' and f.kind = 'message' then 'known'
        else 'repeated' end as outcome
    from found f
  ), raised as (
    update chats c set seq = c.seq + n.count,
        last_message_at = greatest(c.last_message_at, n.message_at),
        last_inbound_at = greatest(c.last_inbound_at, n.inbound_at)
      from (
        select j.company_no, j.chat_no, count(*) as count, max(j.sent_at) filter (where j.is_message) as message_at,
          max(j.sent_at) filter (where j.is_message and j.contact_no is not null) as inbound_at
        from judged j where j.outcome <> 'repeated' group by j.company_no, j.chat_no
      ) n
      where c.chat_no = any (v_chat_nos) and c.company_no = n.company_no and c.chat_no = n.chat_no
      returning c.chat_no, c.seq - n.count as before
  )
  select json_agg(json_build_array(j.outcome, j.message_id, j.target_id, r.before + j.nth,
      j.target_place) order by j.place)
    into v_items
    from (
      select j.*, row_number() over (partition by j.chat_no, j.outcome <> 'repeated' order by j.place) as nth
      from judged j
    ) j left join raised r on r.chat_no = j.chat_no;

  select json_agg(json_build_array(c.chat_no, c.chat_id, c.type, p.contact_id, p.phone, coalesce(c.name, p.name))
      order by w.place)
    into v_chats
    from unnest(p_chat_ats, v_chat_nos) with ordinality as w (at, chat_no, place)
    cross join lateral (select c.* from chats c
      where c.company_no = p_companies[w.at] and c.chat_no = w.chat_no offset 0) c
    left join lateral (select p.contact_id, p.phone, p.name from contacts p
      where p.company_no = p_companies[w.at] and p.contact_no = c.contact_no offset 0) p on true;
  return json_build_object('persons', v_persons, 'moved', v_moved, 'chats', v_chats, 'items', v_items);
end $$;
drop function open_inbound(int, int, bigint, text[], text[], text[], text[], text[], text[], int[], text[], text[],
  text[], text[], int[], int[], text[], text[], bytea[], timestamptz[]);
`;

/* Messages, events and the journal: a function for its plan alone, which takes longer to make than to run. */
const storing = `
create function store_inbounds(
  p_companies int[], p_numbers int[],
  p_ats int[], p_ids text[], p_chats bigint[], p_contacts bigint[], p_directions text[], p_states text[],
  p_seqs bigint[], p_provider_ids text[], p_types text[], p_texts text[], p_contents text[], p_times timestamptz[],
  p_event_ats int[], p_event_ids text[], p_event_types text[], p_subjects text[], p_envelopes text[],
  p_hash_ats int[], p_hashes bytea[]
) returns table (event_no bigint, event_id text, created_at timestamptz)
language plpgsql set plan_cache_mode = force_generic_plan set enable_seqscan = off
set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
begin
  if cardinality(p_ids) > 0 then
    insert into messages (company_no, number_no, message_id, chat_no, contact_no, direction, state, seq,
        provider_message_id, type, text, content, at)
      select p_companies[m.at], p_numbers[m.at], m.id, m.chat, m.contact, m.direction, m.state, m.seq, m.provider_id,
        m.type, m.text, m.content::json, m.sent_at
      from unnest(p_ats, p_ids, p_chats, p_contacts, p_directions, p_states, p_seqs, p_provider_ids, p_types, p_texts,
        p_contents, p_times)
        as m (at, id, chat, contact, direction, state, seq, provider_id, type, text, content, sent_at);
  end if;
  if cardinality(p_hashes) > 0 then
    update inbound_journal j set done_at = clock_timestamp(), value = null
      from unnest(p_hash_ats, p_hashes) as h (at, hash)
      where j.hash = any (p_hashes) and j.company_no = p_companies[h.at] and j.number_no = p_numbers[h.at]
        and j.hash = h.hash and j.done_at is null;
  end if;
  return query
    insert into whatsapp_events as e (company_no, number_no, event_id, type, subject, envelope)
      select p_companies[n.at], p_numbers[n.at], n.id, n.type, n.subject, n.envelope::json
      from unnest(p_event_ats, p_event_ids, p_event_types, p_subjects, p_envelopes) with ordinality
        as n (at, id, type, subject, envelope, place)
      order by n.place
      returning e.event_no, e.event_id, e.created_at;
end $$;
drop function store_inbound(int, int, text[], bigint[], bigint[], text[], text[], bigint[], text[], text[], text[],
  text[], timestamptz[], text[], text[], text[], text[], bytea[]);
`;

const OPEN = `open_inbounds(int[], int[], bigint[], int[], text[], text[], text[], text[], text[], text[], int[], int[],
  text[], text[], text[], int[], text[], int[], int[], text[], text[], bytea[], timestamptz[], int[], text[], text[])`;
const STORE = `store_inbounds(int[], int[], int[], text[], bigint[], bigint[], text[], text[], bigint[], text[], text[],
  text[], text[], timestamptz[], int[], text[], text[], text[], text[], int[], bytea[])`;

const security = [
  onlyFor(
    "resolve_all_chats(int[], int[], bigint[], text[], text[], text[], int[], bigint[])",
    "worker",
    "ingest",
  ),
  onlyFor(OPEN, "worker", "ingest"),
  onlyFor(STORE, "worker", "ingest"),
].join("\n");

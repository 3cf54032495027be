/** Who wrote, in which chat, what of it is new, and its place in the chat: decided in one call for a batch. */
import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, inbound);
  await run(db, storing);
  await run(db, changes);
  await run(db, security);
}

/*
 * People and chats are named once each, items point to them by place (sender 0: the number itself). The chats
 * are locked before it is decided what is new, so two commits cannot both find a message new, and seq grows
 * in the order of the commits. An edit by somebody else than the author is refused; so is a deletion, but for
 * groups, whose admins may. A changed message is looked for in the chat of the change only.
 */
const inbound = `
create function open_inbound(
  p_company int, p_number int, p_epoch bigint,
  p_phones text[], p_lids text[], p_users text[], p_usernames text[], p_names text[], p_contact_ids text[],
  p_chat_persons int[], p_chat_groups text[], p_chat_names text[], p_chat_ids text[],
  p_kinds text[], p_chats int[], p_senders int[], p_keys text[], p_targets text[], p_hashes bytea[],
  p_ats timestamptz[]
) returns json
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_floor text;
  v_person record;
  v_lost bigint;
  v_nos bigint[] := '{}';
  v_persons json[] := '{}';
  v_moved json[] := '{}';
  v_chat_nos bigint[] := '{}';
  v_chats json;
  v_items json;
begin
  if not hold_fence(p_company, p_number, p_epoch) then
    return null;
  end if;
  if cardinality(p_contact_ids) > 0 then
    for v_person in select * from resolve_contacts(
      p_company, p_phones, p_lids, p_users, p_usernames, p_names, p_contact_ids) loop
      v_nos := v_nos || v_person.contact_no;
      v_persons := v_persons || json_build_array(v_person.contact_no, v_person.contact_id, v_person.phone,
        v_person.lid, v_person.user_id, v_person.username, v_person.name, v_person.is_new,
        array(select c.contact_id from contacts c
          where c.company_no = p_company and c.contact_no = any (v_person.lost)));
      foreach v_lost in array v_person.lost loop
        v_moved := v_moved || array(select json_build_array(v_person.contact_id, m.chat_id, m.into_id)
          from merge_chats(p_company, p_number, v_lost, v_person.contact_no) m);
      end loop;
    end loop;
  end if;
  if cardinality(p_chat_ids) > 0 then
    v_chat_nos := resolve_chats(p_company, p_number,
      array(select v_nos[p.person] from unnest(p_chat_persons) with ordinality as p (person, place)
        order by p.place),
      p_chat_groups, p_chat_names, p_chat_ids);
  end if;
  v_floor := message_id_from(clock_timestamp() - interval '9 days');

  with i as materialized (
    select i.*, case when i.sender > 0 then v_nos[i.sender] end as contact_no, v_chat_nos[i.chat] as chat_no,
      i.kind in ('message', 'waiting') as is_message
    from unnest(p_kinds, p_chats, p_senders, p_keys, p_targets, p_hashes, p_ats) with ordinality
      as i (kind, chat, sender, key, target, hash, at, place)
  ), found as materialized (
    select i.*, e.message_id, e.state, t.message_id as target_id,
      i.kind not in ('edit', 'delete') or t.message_id is null or t.is_author
        or (i.kind = 'delete' and p_chat_groups[i.chat] is not null) as is_allowed,
      row_number() over (partition by i.key, i.contact_no, i.is_message order by i.kind = 'waiting', i.place)
        as turn
    from i
    left join lateral (
      select m.message_id, m.state from messages m
      left join contacts c on c.company_no = p_company and c.contact_no = m.contact_no
      where i.is_message and m.company_no = p_company and m.number_no = p_number
        and m.provider_message_id = i.key and m.message_id >= v_floor collate "C"
        and coalesce(c.merged_into, m.contact_no) is not distinct from i.contact_no
      order by m.message_id limit 1
    ) e on true
    left join lateral (
      select m.message_id, coalesce(c.merged_into, m.contact_no) is not distinct from i.contact_no as is_author
      from messages m
      join chats h on h.company_no = p_company and h.chat_no = m.chat_no
      left join contacts c on c.company_no = p_company and c.contact_no = m.contact_no
      where i.target is not null and m.company_no = p_company and m.number_no = p_number
        and m.provider_message_id = i.target
        and (i.is_message or coalesce(h.merged_into, h.chat_no) = i.chat_no)
      order by m.message_id desc limit 1
    ) t on true
  ), noted as (
    insert into seen (company_no, number_no, hash)
      select p_company, p_number, f.hash from found f where f.hash is not null
      on conflict do nothing returning hash
  ), judged as materialized (
    select f.*, case
        when f.turn > 1 or not f.is_allowed then 'repeated'
        when not f.is_message then case when exists (select from noted n where n.hash = f.hash)
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
        select j.chat_no, count(*) as count, max(j.at) filter (where j.is_message) as message_at,
          max(j.at) filter (where j.is_message and j.contact_no is not null) as inbound_at
        from judged j where j.outcome <> 'repeated' group by j.chat_no
      ) n
      where c.company_no = p_company and c.chat_no = n.chat_no
      returning c.chat_no, c.seq - n.count as before
  )
  select json_agg(json_build_array(j.outcome, j.message_id, j.target_id, r.before + j.nth) order by j.place)
    into v_items
    from (
      select j.*, row_number() over (partition by j.chat_no, j.outcome <> 'repeated' order by j.place) as nth
      from judged j
    ) j left join raised r on r.chat_no = j.chat_no;

  select json_agg(json_build_array(c.chat_no, c.chat_id, c.type, p.contact_id, p.phone, coalesce(c.name, p.name))
      order by w.place)
    into v_chats
    from unnest(v_chat_nos) with ordinality as w (chat_no, place)
    join chats c on c.company_no = p_company and c.chat_no = w.chat_no
    left join contacts p on p.company_no = p_company and p.contact_no = c.contact_no;
  return json_build_object('persons', v_persons, 'moved', v_moved, 'chats', v_chats, 'items', v_items);
end $$;
`;

/* Messages, events and the journal of a batch: a function for its plan alone, which takes longer to make than to run. */
const storing = `
create function store_inbound(
  p_company int, p_number int,
  p_ids text[], p_chats bigint[], p_contacts bigint[], p_directions text[], p_states text[], p_seqs bigint[],
  p_provider_ids text[], p_types text[], p_texts text[], p_contents text[], p_ats timestamptz[],
  p_event_ids text[], p_event_types text[], p_subjects text[], p_envelopes text[],
  p_hashes bytea[]
) returns table (event_no bigint, event_id text, created_at timestamptz)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  if cardinality(p_ids) > 0 then
    insert into messages (company_no, number_no, message_id, chat_no, contact_no, direction, state, seq,
        provider_message_id, type, text, content, at)
      select p_company, p_number, m.id, m.chat, m.contact, m.direction, m.state, m.seq, m.provider_id, m.type,
        m.text, m.content::json, m.at
      from unnest(p_ids, p_chats, p_contacts, p_directions, p_states, p_seqs, p_provider_ids, p_types, p_texts,
        p_contents, p_ats) as m (id, chat, contact, direction, state, seq, provider_id, type, text, content, at);
  end if;
  if cardinality(p_hashes) > 0 then
    update inbound_journal set done_at = clock_timestamp(), value = null
      where company_no = p_company and number_no = p_number and hash = any (p_hashes) and done_at is null;
  end if;
  return query
    insert into whatsapp_events as e (company_no, number_no, event_id, type, subject, envelope)
      select p_company, p_number, n.id, n.type, n.subject, n.envelope::json
      from unnest(p_event_ids, p_event_types, p_subjects, p_envelopes) with ordinality
        as n (id, type, subject, envelope, place)
      order by n.place
      returning e.event_no, e.event_id, e.created_at;
end $$;
`;

/* One by one, in their order: several may change the same message. */
const changes = `
create function apply_changes(
  p_company int, p_ids text[], p_kinds text[], p_texts text[], p_whos text[], p_ats timestamptz[]
) returns void
language plpgsql as $$
begin
  for v_at in 1 .. cardinality(p_ids) loop
    case p_kinds[v_at]
      when 'edit' then
        update messages set text = p_texts[v_at], edited_at = p_ats[v_at]
          where company_no = p_company and message_id = p_ids[v_at] collate "C" and deleted_at is null;
      when 'delete' then
        update messages set text = null, content = null, reactions = null, deleted_at = p_ats[v_at]
          where company_no = p_company and message_id = p_ids[v_at] collate "C";
        update media set state = 'gone', source = null
          where company_no = p_company and message_id = p_ids[v_at] collate "C";
      when 'reaction' then
        update messages set reactions = nullif(
            case when p_texts[v_at] is null then coalesce(reactions, '{}') - p_whos[v_at]
              else coalesce(reactions, '{}') || jsonb_build_object(p_whos[v_at], p_texts[v_at]) end, '{}')
          where company_no = p_company and message_id = p_ids[v_at] collate "C" and deleted_at is null;
    end case;
  end loop;
end $$;
`;

const TEXTS = (count: number): string => Array.from({ length: count }, () => "text[]").join(", ");

const security = [
  onlyFor(
    `open_inbound(int, int, bigint, ${TEXTS(6)}, int[], ${TEXTS(3)}, text[], int[], int[], ${TEXTS(2)}, bytea[], timestamptz[])`,
    "worker",
  ),
  onlyFor(
    `store_inbound(int, int, text[], bigint[], bigint[], text[], text[], bigint[], ${TEXTS(4)}, timestamptz[], ${TEXTS(4)}, bytea[])`,
    "worker",
  ),
  onlyFor(`apply_changes(int, ${TEXTS(4)}, timestamptz[])`, "worker"),
].join("\n");

/** Who wrote, in which chat, what of it is new, and its place in the chat: decided in one call for a batch. */
import type { Kysely } from "kysely";
import { grant, onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, people);
  await run(db, chats);
  await run(db, inbound);
  await run(db, storing);
  await run(db, changes);
  await run(db, security);
}

/*
 * resolve_contacts finds or makes the people of a batch. Mostly all of them are known and nothing is written
 * or locked. Whoever adds or changes people of a company holds one lock until the end of the transaction, so
 * that nobody is made twice and merges do not cross.
 *
 * A LID (or business-scoped id) names a person for good, a phone can be given to somebody else: a phone that
 * comes with another LID than its person has moves to the person of that LID; a person of whom no LID was
 * known is the same person, and the younger of the two contacts is merged into the older.
 */
const people = `
create function merge_contacts(p_company int, p_one bigint, p_other bigint) returns bigint
language plpgsql as $$
declare
  v_into bigint := least(p_one, p_other);
  v_lost contacts;
begin
  select * into v_lost from contacts
    where company_no = p_company and contact_no = greatest(p_one, p_other);
  update contact_aliases set contact_no = v_into
    where company_no = p_company and contact_no = v_lost.contact_no;
  update contacts c set
      name = coalesce(c.name, v_lost.name), phone = coalesce(c.phone, v_lost.phone),
      lid = coalesce(c.lid, v_lost.lid), user_id = coalesce(c.user_id, v_lost.user_id),
      username = coalesce(c.username, v_lost.username), updated_at = clock_timestamp()
    where c.company_no = p_company and c.contact_no = v_into;
  update contacts set merged_into = v_into, updated_at = clock_timestamp()
    where company_no = p_company and (contact_no = v_lost.contact_no or merged_into = v_lost.contact_no);
  return v_into;
end $$;

create function resolve_contacts(
  p_company int, p_phones text[], p_lids text[], p_users text[], p_usernames text[], p_names text[], p_ids text[]
) returns table (
  place int, contact_no bigint, contact_id text, phone text, lid text, user_id text, username text, name text,
  is_new boolean, lost bigint[]
)
language plpgsql as $$
#variable_conflict use_column
declare
  v_nos bigint[];
  v_new boolean[] := array_fill(false, array[cardinality(p_ids)]);
  v_lost bigint[];
  v_lost_at int[] := '{}';
  v_settled boolean;
  v_place int;
  v_no bigint;
  v_other bigint;
  v_into bigint;
  v_by record;
  v_is_same boolean;
begin
  select array_agg(coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no) order by i.place),
      bool_and(coalesce(
        (i.lid is null or l.contact_no = c.contact_no) and (i.user_id is null or u.contact_no = c.contact_no)
        and (i.phone is null or p.contact_no = c.contact_no)
        and (i.username is null or n.contact_no = c.contact_no)
        and (i.name is null or i.name = c.name), false))
    into v_nos, v_settled
    from unnest(p_phones, p_lids, p_users, p_usernames, p_names) with ordinality
      as i (phone, lid, user_id, username, name, place)
    left join contact_aliases l on l.company_no = p_company and l.kind = 'lid' and l.value = i.lid
    left join contact_aliases u on u.company_no = p_company and u.kind = 'user_id' and u.value = i.user_id
    left join contact_aliases p on p.company_no = p_company and p.kind = 'phone' and p.value = i.phone
    left join contact_aliases n on n.company_no = p_company and n.kind = 'username' and n.value = i.username
    left join contacts c on c.company_no = p_company
      and c.contact_no = coalesce(l.contact_no, u.contact_no, p.contact_no, n.contact_no);

  if not v_settled then
    perform pg_advisory_xact_lock(hashtext('contacts'), p_company);
    v_nos := '{}';
    for v_place in 1 .. cardinality(p_ids) loop
      select max(a.contact_no) filter (where a.kind = 'lid') as lid,
          max(a.contact_no) filter (where a.kind = 'user_id') as user_id,
          max(a.contact_no) filter (where a.kind = 'phone') as phone,
          max(a.contact_no) filter (where a.kind = 'username') as username
        into v_by from contact_aliases a
        where a.company_no = p_company and (a.kind, a.value) in (
          ('lid', p_lids[v_place]), ('user_id', p_users[v_place]), ('phone', p_phones[v_place]),
          ('username', p_usernames[v_place]));
      v_no := coalesce(v_by.lid, v_by.user_id);
      if v_no is null and p_lids[v_place] is null and p_users[v_place] is null then
        v_no := coalesce(v_by.phone, v_by.username);
      end if;

      -- The others that this stanza names: the same person, unless both are known for good and differ.
      foreach v_other in array array[v_by.user_id, v_by.phone] loop
        continue when v_other is null or v_other is not distinct from v_no;
        select (o.lid is null or coalesce(p_lids[v_place], v.lid) is null
              or o.lid = coalesce(p_lids[v_place], v.lid))
            and (o.user_id is null or coalesce(p_users[v_place], v.user_id) is null
              or o.user_id = coalesce(p_users[v_place], v.user_id))
          into v_is_same
          from contacts o left join contacts v on v.company_no = p_company and v.contact_no = v_no
          where o.company_no = p_company and o.contact_no = v_other;
        if v_is_same and v_no is null then
          v_no := v_other;
        elsif v_is_same then
          v_into := merge_contacts(p_company, v_no, v_other);
          v_lost := v_lost || greatest(v_no, v_other);
          v_lost_at := v_lost_at || v_place;
          v_no := v_into;
        end if;
      end loop;

      if v_no is null then
        insert into contacts as c (company_no, contact_id, name, phone, lid, user_id, username)
          values (p_company, p_ids[v_place], p_names[v_place], p_phones[v_place], p_lids[v_place],
            p_users[v_place], p_usernames[v_place])
          returning c.contact_no into v_no;
        v_new[v_place] := true;
      elsif exists (select from contacts c where c.company_no = p_company and c.contact_no = v_no
          and (c.name, c.phone, c.lid, c.user_id, c.username) is distinct from
            (coalesce(p_names[v_place], c.name), coalesce(p_phones[v_place], c.phone),
              coalesce(p_lids[v_place], c.lid), coalesce(p_users[v_place], c.user_id),
              coalesce(p_usernames[v_place], c.username))) then
        update contacts c set
            name = coalesce(p_names[v_place], c.name), phone = coalesce(p_phones[v_place], c.phone),
            lid = coalesce(p_lids[v_place], c.lid), user_id = coalesce(p_users[v_place], c.user_id),
            username = coalesce(p_usernames[v_place], c.username), updated_at = clock_timestamp()
          where c.company_no = p_company and c.contact_no = v_no;
      end if;

      insert into contact_aliases (company_no, kind, value, contact_no)
        select p_company, a.kind, a.value, v_no
        from (values ('lid', p_lids[v_place]), ('user_id', p_users[v_place]), ('phone', p_phones[v_place]),
          ('username', p_usernames[v_place])) a (kind, value)
        where a.value is not null
        on conflict (company_no, kind, value) do nothing;
      -- What names somebody for a time has gone over to this person.
      if exists (select from contact_aliases a where a.company_no = p_company and a.contact_no <> v_no
          and (a.kind, a.value) in (('phone', p_phones[v_place]), ('username', p_usernames[v_place]))) then
        update contact_aliases a set contact_no = v_no
          where a.company_no = p_company
            and (a.kind, a.value) in (('phone', p_phones[v_place]), ('username', p_usernames[v_place]));
        update contacts c set phone = nullif(c.phone, p_phones[v_place]),
            username = nullif(c.username, p_usernames[v_place]), updated_at = clock_timestamp()
          where c.company_no = p_company and c.contact_no <> v_no and c.merged_into is null
            and c.contact_no = any (array[v_by.phone, v_by.username]);
      end if;
      v_nos := v_nos || v_no;
    end loop;
  end if;

  return query
    select i.place::int, r.contact_no, r.contact_id, r.phone, r.lid, r.user_id, r.username, r.name,
      v_new[i.place], array(select l.no from unnest(v_lost, v_lost_at) as l (no, at) where l.at = i.place)
    from unnest(v_nos) with ordinality as i (no, place)
    join contacts c on c.company_no = p_company and c.contact_no = i.no
    join contacts r on r.company_no = p_company and r.contact_no = coalesce(c.merged_into, c.contact_no)
    order by i.place;
end $$;
`;

/*
 * A contact that was merged through one number may still have its chat at another: that one is taken over
 * when it is needed. Chats are locked in the order of their key.
 */
const chats = `
create function merge_chats(p_company int, p_number int, p_lost bigint, p_into bigint)
returns table (chat_id text, into_id text)
language plpgsql as $$
#variable_conflict use_column
declare
  v_lost chats;
  v_into chats;
begin
  perform 1 from chats where company_no = p_company and number_no = p_number and merged_into is null
    and contact_no in (p_lost, p_into) order by chat_no for no key update;
  select * into v_lost from chats where company_no = p_company and number_no = p_number
    and contact_no = p_lost and merged_into is null;
  select * into v_into from chats where company_no = p_company and number_no = p_number
    and contact_no = p_into and merged_into is null;
  if v_lost.chat_no is null then
    return;
  end if;
  if v_into.chat_no is null then
    update chats set contact_no = p_into where company_no = p_company and chat_no = v_lost.chat_no;
    return;
  end if;
  update chats set merged_into = v_into.chat_no
    where company_no = p_company and (chat_no = v_lost.chat_no or merged_into = v_lost.chat_no);
  update chats c set seq = greatest(c.seq, v_lost.seq),
      last_message_at = greatest(c.last_message_at, v_lost.last_message_at),
      last_inbound_at = greatest(c.last_inbound_at, v_lost.last_inbound_at)
    where c.company_no = p_company and c.chat_no = v_into.chat_no;
  return query select v_lost.chat_id, v_into.chat_id;
end $$;

create function resolve_chats(
  p_company int, p_number int, p_contacts bigint[], p_groups text[], p_names text[], p_ids text[]
) returns bigint[]
language plpgsql as $$
declare
  v_nos bigint[];
  v_is_named boolean;
begin
  for v_try in 1 .. 3 loop
    select array_agg(coalesce(d.chat_no, g.chat_no) order by w.place),
        bool_and(w.name is null or g.chat_no is null or w.name = g.name is true)
      into v_nos, v_is_named
      from unnest(p_contacts, p_groups, p_names) with ordinality as w (contact, grp, name, place)
      left join chats d on d.company_no = p_company and d.number_no = p_number
        and d.contact_no = w.contact and d.merged_into is null
      left join chats g on g.company_no = p_company and g.number_no = p_number
        and g.provider_chat_id = w.grp;
    exit when array_position(v_nos, null) is null;
    with kept as (
      select distinct on (w.contact) c.chat_no, w.contact
      from unnest(p_contacts, v_nos) as w (contact, chat_no)
      join contacts m on m.company_no = p_company and m.merged_into = w.contact
      join chats c on c.company_no = p_company and c.number_no = p_number
        and c.contact_no = m.contact_no and c.merged_into is null
      where w.chat_no is null order by w.contact, c.chat_no
    )
    update chats c set contact_no = k.contact from kept k
      where c.company_no = p_company and c.chat_no = k.chat_no;
    insert into chats (company_no, number_no, chat_id, type, contact_no, provider_chat_id, name)
      select p_company, p_number, w.id, case when w.grp is null then 'direct' else 'group' end, w.contact,
        w.grp, w.name
      from unnest(p_contacts, p_groups, p_names, p_ids, v_nos) as w (contact, grp, name, id, chat_no)
      where w.chat_no is null
      on conflict do nothing;
  end loop;
  if array_position(v_nos, null) is not null then
    raise exception 'a chat could not be made';
  end if;
  if not v_is_named then
    update chats c set name = w.name from unnest(v_nos, p_names) as w (chat_no, name)
      where c.company_no = p_company and c.chat_no = w.chat_no and c.provider_chat_id is not null
        and w.name is not null and c.name is distinct from w.name;
  end if;
  perform 1 from chats c where c.company_no = p_company and c.chat_no = any (v_nos)
    order by c.chat_no for no key update;
  return v_nos;
end $$;
`;

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
  onlyFor("merge_contacts(int, bigint, bigint)", "worker"),
  onlyFor(`resolve_contacts(int, ${TEXTS(6)})`, "app", "worker"),
  onlyFor("merge_chats(int, int, bigint, bigint)", "worker"),
  onlyFor(`resolve_chats(int, int, bigint[], ${TEXTS(3)})`, "app", "worker"),
  onlyFor(
    `open_inbound(int, int, bigint, ${TEXTS(6)}, int[], ${TEXTS(3)}, text[], int[], int[], ${TEXTS(2)}, bytea[], timestamptz[])`,
    "worker",
  ),
  onlyFor(
    `store_inbound(int, int, text[], bigint[], bigint[], text[], text[], bigint[], ${TEXTS(4)}, timestamptz[], ${TEXTS(4)}, bytea[])`,
    "worker",
  ),
  onlyFor(`apply_changes(int, ${TEXTS(4)}, timestamptz[])`, "worker"),
  // A chat whose person was merged is taken over by whoever needs it first.
  grant("app", "update (contact_no)", "chats"),
].join("\n");

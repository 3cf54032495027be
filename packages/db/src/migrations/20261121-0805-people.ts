/** Who a person is and which chat is theirs: found, made, merged. */
import type { Kysely } from "kysely";
import { grant, onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, people);
  await run(db, chats);
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

const TEXTS = (count: number): string => Array.from({ length: count }, () => "text[]").join(", ");

const security = [
  onlyFor("merge_contacts(int, bigint, bigint)", "worker"),
  onlyFor(`resolve_contacts(int, ${TEXTS(6)})`, "app", "worker"),
  onlyFor("merge_chats(int, int, bigint, bigint)", "worker"),
  onlyFor(`resolve_chats(int, int, bigint[], ${TEXTS(3)})`, "app", "worker"),
  // A chat whose person was merged is taken over by whoever needs it first.
  grant("app", "update (contact_no)", "chats"),
].join("\n");

/** The queue of what is to be sent: in order per chat, claimed under held fences, statuses only forward. */
import type { Kysely } from "kysely";
import { ANY_HELD, alterPolicy, grant, HELD_EPOCH, onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, "create index messages_expiry on messages (expires_at) where is_open;");
  await run(db, opening);
  await run(db, claiming);
  await run(db, statuses);
  await run(db, security);
}

/*
 * Of a partitioned table a plan takes longer to make than to run, hence force_generic_plan.
 *
 * open_send prepares one message of a request: the key of the request, the room in the queue, the chat, and
 * the message's place in it. Whoever asks for a key that another request is just using waits for its end.
 * What is answered must be of the same chat: its words go along, and are not for somebody else to read.
 * A change of a message (p_is_told false) is told when it was sent; until then it has the seq of what it follows.
 * The number's row is held, so that a number that is being removed gets no message any more.
 */
const opening = `
create function open_send(
  p_company int, p_number int, p_message text, p_key text, p_hash bytea, p_most int,
  p_phone text, p_lid text, p_contact text, p_chat text, p_group text,
  p_new_contact text, p_new_chat text, p_is_bulk boolean, p_context text, p_is_told boolean
) returns json
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_known idempotency;
  v_open int;
  v_person record;
  v_contact bigint;
  v_chat bigint;
  v_seq bigint;
  v_context json;
  v_row json;
begin
  if p_key is not null then
    insert into idempotency (company_no, key, request_hash, message_id)
      values (p_company, p_key, p_hash, p_message) on conflict do nothing;
    if not found then
      select * into v_known from idempotency where company_no = p_company and key = p_key;
      return json_build_object('outcome', case when v_known.request_hash = p_hash then 'known' else 'mismatch' end,
        'messageId', v_known.message_id);
    end if;
  end if;
  perform 1 from numbers where company_no = p_company and number_no = p_number for key share;
  if not found then
    return json_build_object('outcome', 'no_number');
  end if;
  select count(*) into v_open from (
    select from messages where company_no = p_company and is_open limit p_most) o;
  if v_open >= p_most then
    return json_build_object('outcome', 'full');
  end if;

  if p_chat is not null then
    select coalesce(c.merged_into, c.chat_no) into v_chat from chats c
      where c.company_no = p_company and c.number_no = p_number and c.chat_id = p_chat;
    if v_chat is null then
      return json_build_object('outcome', 'no_chat');
    end if;
    perform 1 from chats where company_no = p_company and chat_no = v_chat for no key update;
  else
    if p_contact is not null then
      select coalesce(c.merged_into, c.contact_no) into v_contact from contacts c
        where c.company_no = p_company and c.contact_id = p_contact;
      if v_contact is null then
        return json_build_object('outcome', 'no_contact');
      end if;
    elsif p_group is null then
      select * into v_person from resolve_contacts(p_company, array[p_phone], array[p_lid],
        array[null::text], array[null::text], array[null::text], array[p_new_contact]);
      v_contact := v_person.contact_no;
    end if;
    v_chat := (resolve_chats(
      p_company, p_number, array[v_contact], array[p_group], array[null::text], array[p_new_chat]))[1];
  end if;

  update chats set seq = seq + p_is_told::int,
      last_message_at = case when p_is_told then clock_timestamp() else last_message_at end
    where company_no = p_company and chat_no = v_chat returning seq into v_seq;
  select json_build_object('messageId', m.message_id, 'providerMessageId', m.provider_message_id,
      'isOwn', m.direction <> 'in', 'type', m.type, 'text', m.text, 'phone', a.phone, 'lid', a.lid)
    into v_context from messages m
    join chats h on h.company_no = p_company and h.chat_no = m.chat_no
    left join contacts w on w.company_no = p_company and w.contact_no = m.contact_no
    left join contacts a on a.company_no = p_company and a.contact_no = coalesce(w.merged_into, w.contact_no)
    where m.company_no = p_company and m.message_id = p_context collate "C" and m.number_no = p_number
      and coalesce(h.merged_into, h.chat_no) = v_chat;
  select json_build_object(
      'outcome', 'open', 'seq', v_seq,
      'chat', json_build_array(c.chat_no, c.chat_id, c.type, p.contact_id, p.phone, coalesce(c.name, p.name)),
      'person', json_build_array(
        p.contact_no, p.contact_id, p.phone, p.lid, p.user_id, p.username, p.name,
        coalesce(p.contact_id = p_new_contact, false), '{}'::text[]),
      'isNext', not exists (select from messages m where m.company_no = p_company
        and m.number_no = p_number and m.chat_no = v_chat and m.is_open),
      'lane', case when p_is_bulk then 2
        when c.last_inbound_at > clock_timestamp() - interval '1 day' then 0 else 1 end,
      'context', v_context)
    into v_row
    from chats c left join contacts p on p.company_no = p_company and p.contact_no = c.contact_no
    where c.company_no = p_company and c.chat_no = v_chat;
  return v_row;
end $$;
`;

/*
 * Of every chat only the oldest open message can be claimed (is_next); its successor becomes the next when it
 * is closed. So claiming reads one index in the order of lanes and ages. What a former owner was sending is
 * claimed again, also past its time: it may be with the recipient already.
 */
const claiming = `
create function claim_sends(
  p_companies int[], p_numbers int[], p_epochs bigint[], p_rooms int[], p_limit int
) returns setof messages
language plpgsql as $$
declare
  v_floor text := message_id_from(clock_timestamp() - interval '9 days');
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
  v_ids text[];
begin
  with ready as (
    select * from unnest(p_companies, p_numbers, p_epochs, p_rooms) as r (company_no, number_no, epoch, room)
    where r.room > 0
  ), picked as materialized (
    select r.company_no, r.number_no, r.epoch, one.message_id from ready r
    cross join lateral (
      select m.message_id, m.lane from messages m
      where m.company_no = r.company_no and m.number_no = r.number_no and m.is_next
        and m.message_id >= v_floor collate "C"
        and ((m.state = 'queued' and m.expires_at > statement_timestamp())
          or (m.state = 'sending' and m.claimed_epoch < r.epoch))
        and (m.send_after is null or m.send_after <= statement_timestamp())
      order by m.lane, m.message_id limit r.room
    ) one
    order by one.lane, one.message_id limit p_limit
  ), held as materialized (
    select p.company_no, p.number_no, p.epoch, p.message_id from picked p
    join number_fence f
      on f.company_no = p.company_no and f.number_no = p.number_no and f.epoch = p.epoch
    order by p.company_no, p.number_no
    for share of f skip locked
  )
  select array_agg(company_no), array_agg(number_no), array_agg(epoch), array_agg(message_id)
    into v_companies, v_numbers, v_epochs, v_ids from held;
  if v_ids is null then
    return;
  end if;
  perform note_held(v_companies, v_numbers, v_epochs);

  return query
    with locked as materialized (
      select m.company_no, m.message_id, p.epoch
      from unnest(v_companies, v_ids, v_epochs) as p (company_no, message_id, epoch)
      join messages m on m.company_no = p.company_no and m.message_id = p.message_id collate "C"
      where m.is_next and (m.state = 'queued' or (m.state = 'sending' and m.claimed_epoch < p.epoch))
      order by m.company_no, m.message_id
      for no key update of m skip locked
    )
    update messages m set state = 'sending', claimed_epoch = k.epoch, claimed_at = clock_timestamp(),
        attempts = m.attempts + 1
    from locked k where m.company_no = k.company_no and m.message_id = k.message_id
    returning m.*;
end $$;

-- What was claimed goes back, to be tried again from a time on: a restriction, a connection that was lost.
create function release_sends(p_company int, p_number int, p_epoch bigint, p_ids text[], p_after timestamptz)
returns int
language plpgsql as $$
declare
  v_count int;
begin
  if not hold_fence(p_company, p_number, p_epoch) then
    return null;
  end if;
  update messages set state = 'queued', send_after = p_after, claimed_epoch = null, claimed_at = null,
      attempts = greatest(attempts - 1, 0)
    where company_no = p_company and number_no = p_number and message_id = any (p_ids) and state = 'sending'
      and claimed_epoch = p_epoch;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

/*
 * note_statuses takes the statuses of one number's messages, by our id or by WhatsApp's, locks chats and then
 * messages, lets through what goes forward, numbers it, and lets the next message of a chat have its turn.
 * Only what waits can expire. Answers what is news, in the order given.
 */
const statuses = `
create function state_rank(p_state text) returns int language sql immutable as $$
  select case p_state when 'queued' then 0 when 'sending' then 1 when 'unknown' then 2 when 'sent' then 3
    when 'failed' then 4 when 'expired' then 4 when 'delivered' then 5 when 'read' then 6 else 9 end
$$;

create function note_statuses(
  p_company int, p_number int, p_epoch bigint,
  p_ids text[], p_provider_ids text[], p_states text[], p_ats timestamptz[], p_errors jsonb[]
) returns json
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_places int[];
  v_ids text[];
  v_chats bigint[];
  v_closed bigint[];
  v_news json;
begin
  if not hold_fence(p_company, p_number, p_epoch) then
    return null;
  end if;
  select array_agg(i.place), array_agg(m.message_id), array_agg(distinct coalesce(h.merged_into, h.chat_no))
    into v_places, v_ids, v_chats
    from unnest(p_ids, p_provider_ids) with ordinality as i (id, provider_id, place)
    cross join lateral (
      select m.message_id, m.chat_no from messages m
      where m.company_no = p_company and m.message_id = i.id collate "C" and m.number_no = p_number
        and m.direction = 'out'
      union all
      select m.message_id, m.chat_no from messages m
      where i.id is null and m.company_no = p_company and m.number_no = p_number
        and m.provider_message_id = i.provider_id and m.direction = 'out'
      limit 1
    ) m
    join chats h on h.company_no = p_company and h.chat_no = m.chat_no;
  if v_ids is null then
    return '[]';
  end if;
  perform 1 from chats where company_no = p_company and chat_no = any (v_chats)
    order by chat_no for no key update;
  perform 1 from messages where company_no = p_company and message_id = any (v_ids)
    order by message_id for no key update;

  with told as materialized (
    select f.place, m.message_id, m.chat_no, coalesce(h.merged_into, h.chat_no) as root_no, m.is_open,
      p_states[f.place] as state, p_ats[f.place] as at, p_errors[f.place] as error,
      case when p_ids[f.place] is not null then p_provider_ids[f.place] end as provider_id,
      (p_states[f.place] <> 'expired' or m.state = 'queued')
        and state_rank(p_states[f.place]) > greatest(state_rank(m.state), coalesce(max(state_rank(p_states[f.place]))
          over (partition by m.message_id order by f.place rows between unbounded preceding and 1 preceding), -1))
        as is_news
    from unnest(v_places, v_ids) as f (place, message_id)
    join messages m on m.company_no = p_company and m.message_id = f.message_id collate "C"
    join chats h on h.company_no = p_company and h.chat_no = m.chat_no
  ), changed as (
    update messages m set state = l.state, state_at = l.at, error = l.error, is_open = false, is_next = false,
        provider_message_id = coalesce(l.provider_id, m.provider_message_id)
      from (select distinct on (message_id) * from told where is_news order by message_id, place desc) l
      where m.company_no = p_company and m.message_id = l.message_id
      returning m.message_id, m.provider_message_id, m.type, m.text, m.content, m.number_no
  ), raised as (
    update chats c set seq = c.seq + n.count
      from (select root_no, count(*) as count from told where is_news group by 1) n
      where c.company_no = p_company and c.chat_no = n.root_no
      returning c.chat_no, c.chat_id, c.type, c.name, c.contact_no, c.seq - n.count as before
  )
  select json_agg(json_build_object('place', t.place, 'messageId', t.message_id,
        'providerMessageId', g.provider_message_id, 'state', t.state, 'seq', r.before + t.nth,
        'chat', json_build_array(r.chat_no, r.chat_id, r.type, p.contact_id, p.phone, coalesce(r.name, p.name)),
        'person', json_build_array(
          p.contact_no, p.contact_id, p.phone, p.lid, p.user_id, p.username, p.name, false, '{}'::text[]),
        'type', g.type, 'text', g.text, 'content', g.content) order by t.place),
      array_agg(distinct t.chat_no) filter (where t.is_open)
    into v_news, v_closed
    from (select told.*, row_number() over (partition by root_no order by place) as nth from told where is_news) t
    join changed g on g.message_id = t.message_id
    join raised r on r.chat_no = t.root_no
    left join contacts p on p.company_no = p_company and p.contact_no = r.contact_no;

  if v_closed is not null then
    update messages m set is_next = true
      from unnest(v_closed) as c (chat_no)
      cross join lateral (
        select o.message_id from messages o
        where o.company_no = p_company and o.number_no = p_number and o.chat_no = c.chat_no and o.is_open
        order by o.seq, o.created_at limit 1
      ) one
      where m.company_no = p_company and m.message_id = one.message_id and not m.is_next;
  end if;
  return coalesce(v_news, '[]');
end $$;
`;

const TEXTS = (count: number): string => Array.from({ length: count }, () => "text").join(", ");

const security = [
  onlyFor(
    `open_send(int, int, ${TEXTS(2)}, bytea, int, ${TEXTS(7)}, boolean, text, boolean)`,
    "app",
  ),
  onlyFor("claim_sends(int[], int[], bigint[], int[], int)", "worker"),
  onlyFor("release_sends(int, int, bigint, text[], timestamptz)", "worker"),
  onlyFor("state_rank(text)", "worker"),
  onlyFor(
    "note_statuses(int, int, bigint, text[], text[], text[], timestamptz[], jsonb[])",
    "worker",
  ),
  grant("worker", "update (provider_message_id)", "messages"),
  // Who sends holds the fence of the epoch that it claims for.
  alterPolicy(
    "messages",
    "worker",
    "update",
    ANY_HELD,
    `coalesce(claimed_epoch, 0) <= ${HELD_EPOCH} and ${ANY_HELD}`,
  ),
].join("\n");

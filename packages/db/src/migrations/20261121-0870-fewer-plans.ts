/** Statements of every message that took longer to plan than to run: as functions, with a plan that is kept. */
import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, claiming);
  await run(db, marking);
  await run(db, indexes);
  await run(db, security);
}

/*
 * Claims as before, and answers what the owner needs to send. That is read by a statement of its own: the one that
 * claims began before it locked, and may not see a chat that is as new as its message.
 */
const claiming = `
drop function claim_sends(int[], int[], bigint[], int[], int);

create function claim_sends(
  p_companies int[], p_numbers int[], p_epochs bigint[], p_rooms int[], p_limit int
) returns table (
  company_no int, number_no int, epoch bigint, message_id text, provider_message_id text, attempts smallint,
  chat_id text, chat_type text, phone text, lid text, group_id text, last_inbound_at timestamptz,
  type text, text text, content json, lane smallint, created_at timestamptz, expires_at timestamptz,
  traceparent text
)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
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
  select array_agg(h.company_no), array_agg(h.number_no), array_agg(h.epoch), array_agg(h.message_id)
    into v_companies, v_numbers, v_epochs, v_ids from held h;
  if v_ids is null then
    return;
  end if;
  perform note_held(v_companies, v_numbers, v_epochs);

  with locked as materialized (
    select m.company_no, m.message_id, p.epoch
    from unnest(v_companies, v_ids, v_epochs) as p (company_no, message_id, epoch)
    join messages m on m.company_no = p.company_no and m.message_id = p.message_id collate "C"
    where m.is_next and (m.state = 'queued' or (m.state = 'sending' and m.claimed_epoch < p.epoch))
    order by m.company_no, m.message_id
    for no key update of m skip locked
  ), claimed as (
    update messages m set state = 'sending', claimed_epoch = k.epoch, claimed_at = clock_timestamp(),
        attempts = m.attempts + 1
      from locked k where m.company_no = k.company_no and m.message_id = k.message_id
      returning m.company_no, m.message_id
  )
  select array_agg(c.company_no), array_agg(c.message_id) into v_companies, v_ids from claimed c;
  return query
    select m.company_no, m.number_no, m.claimed_epoch, m.message_id, m.provider_message_id, m.attempts,
      r.chat_id, r.type, p.phone, p.lid, r.provider_chat_id, r.last_inbound_at,
      m.type, m.text, m.content, m.lane, m.created_at, m.expires_at, m.traceparent
    from unnest(v_companies, v_ids) as k (company_no, message_id)
    join messages m on m.company_no = k.company_no and m.message_id = k.message_id collate "C"
    join chats c on c.company_no = m.company_no and c.chat_no = m.chat_no
    join chats r on r.company_no = c.company_no and r.chat_no = coalesce(c.merged_into, c.chat_no)
    left join contacts w on w.company_no = m.company_no and w.contact_no = r.contact_no
    left join contacts p on p.company_no = m.company_no and p.contact_no = coalesce(w.merged_into, w.contact_no)
    order by m.lane, m.message_id;
end $$;
`;

/*
 * Marks published events; answers the lowest sequence that another event of the window was marked with before. One by
 * one: a join of few with many is planned as if the log were empty, and then reads all of it.
 */
const marking = `
create function mark_events(
  p_incarnation text, p_companies int[], p_nos bigint[], p_ats timestamptz[], p_seqs bigint[], p_window interval
) returns bigint
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_since timestamptz := now() - p_window;
  v_clash bigint;
begin
  select min(x.stream_seq) into v_clash from unnest(p_nos, p_seqs) as m (event_no, seq)
    cross join lateral (
      select e.stream_seq from whatsapp_events e
      where e.incarnation = p_incarnation and e.stream_seq = m.seq and e.event_no <> m.event_no
        and e.created_at > v_since
      offset 0
    ) x;
  for v_at in 1 .. cardinality(p_nos) loop
    update whatsapp_events set incarnation = p_incarnation, stream_seq = p_seqs[v_at],
        published_at = clock_timestamp()
      where company_no = p_companies[v_at] and event_no = p_nos[v_at] and created_at = p_ats[v_at];
  end loop;
  return v_clash;
end $$;
`;

/*
 * A plan that is kept is made when its connection first needs it, maybe while a table or the partition of a new month
 * is still empty: reading all of it is cheapest then, and grows with every message. So these always take an index.
 */
const TEXTS = (count: number): string => Array.from({ length: count }, () => "text[]").join(", ");
const indexes = [
  "claim_sends(int[], int[], bigint[], int[], int)",
  "mark_events(text, int[], bigint[], timestamptz[], bigint[], interval)",
  "open_send(int, int, text, text, bytea, int, text, text, text, text, text, text, text, boolean, text, boolean)",
  "note_statuses(int, int, bigint, text[], text[], text[], timestamptz[], jsonb[])",
  `open_inbound(int, int, bigint, ${TEXTS(6)}, int[], ${TEXTS(3)}, text[], int[], int[], ${TEXTS(2)}, bytea[], timestamptz[])`,
  `store_inbound(int, int, text[], bigint[], bigint[], text[], text[], bigint[], ${TEXTS(4)}, timestamptz[], ${TEXTS(4)}, bytea[])`,
  `resolve_contacts(int, ${TEXTS(6)})`,
  `resolve_chats(int, int, bigint[], ${TEXTS(3)})`,
]
  .map((signature) => `alter function ${signature} set enable_seqscan = off;`)
  .join("\n");

const security = [
  onlyFor("claim_sends(int[], int[], bigint[], int[], int)", "worker"),
  onlyFor("mark_events(text, int[], bigint[], timestamptz[], bigint[], interval)", "relay"),
].join("\n");

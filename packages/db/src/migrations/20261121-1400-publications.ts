/**
 * Where events were published is noted once per statement that wrote them, beside the log: the log is written once and
 * its wide rows are never touched again.
 */
import type { Kysely } from "kysely";
import { grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, table);
  await run(db, noting);
  await run(db, marking);
  await run(db, deleting);
  await run(db, carrying);
  await run(db, security);
}

/*
 * The lists belong together by place. A publication is the number of its first event, so that whoever has inserted the
 * events knows it.
 */
const table = `
create table event_publications (
  publication_no bigint primary key,
  event_nos bigint[] not null,
  company_nos int[] not null,
  created_at timestamptz not null,
  incarnation text,
  stream_seqs bigint[],
  last_seq bigint,
  published_at timestamptz
) with (autovacuum_vacuum_scale_factor = 0.05);
create index event_publications_open on event_publications (publication_no) where published_at is null;
create index event_publications_marked on event_publications (incarnation, last_seq) where incarnation is not null;
`;

/* By a trigger, so that nobody who writes events can forget it. */
const noting = `
create function note_publication() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into event_publications (publication_no, event_nos, company_nos, created_at)
    select min(a.event_no), array_agg(a.event_no order by a.event_no), array_agg(a.company_no order by a.event_no),
      min(a.created_at)
    from added a having count(*) > 0;
  return null;
end $$;
create trigger publication after insert on whatsapp_events referencing new table as added
  for each statement execute function note_publication();
`;

/*
 * Marks p_counts events each of the publications, given one after the other by number and sequence (null: not published,
 * 0: no longer there). Answers the lowest sequence that an event of another publication of the window was marked with
 * before.
 */
const marking = `
create function mark_publications(
  p_incarnation text, p_nos bigint[], p_counts int[], p_event_nos bigint[], p_seqs bigint[], p_window interval
) returns bigint
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
  v_since timestamptz := now() - p_window;
  v_lowest bigint := (select min(s.seq) from unnest(p_seqs) as s (seq) where s.seq > 0);
  v_clash bigint;
  v_from int := 1;
  v_event_nos bigint[];
  v_given bigint[];
  v_seqs bigint[];
  v_row event_publications;
begin
  select min(s.seq) into v_clash from event_publications p, unnest(p.stream_seqs) as s (seq)
    where p.incarnation = p_incarnation and p.last_seq >= v_lowest and p.created_at > v_since
      and p.publication_no <> all (p_nos) and s.seq >= v_lowest and s.seq = any (p_seqs);
  for v_at in 1 .. cardinality(p_nos) loop
    v_event_nos := p_event_nos[v_from : v_from + p_counts[v_at] - 1];
    v_given := p_seqs[v_from : v_from + p_counts[v_at] - 1];
    v_from := v_from + p_counts[v_at];
    select * into v_row from event_publications p where p.publication_no = p_nos[v_at] for no key update;
    continue when not found;
    v_seqs := v_given;
    if v_event_nos <> v_row.event_nos then
      select array_agg(coalesce(n.seq, case when v_row.incarnation = p_incarnation then o.seq end) order by o.place)
        into v_seqs
        from unnest(v_row.event_nos, v_row.stream_seqs) with ordinality as o (no, seq, place)
        left join unnest(v_event_nos, v_given) as n (no, seq) on n.no = o.no;
    end if;
    update event_publications p set incarnation = p_incarnation, stream_seqs = v_seqs,
        last_seq = (select max(s.seq) from unnest(v_seqs) as s (seq)),
        published_at = case when array_position(v_seqs, null) is null then clock_timestamp() end
      where p.publication_no = p_nos[v_at];
  end loop;
  return v_clash;
end $$;
`;

/* The oldest first, and no more than can be looked at in a moment. */
const deleting = `
create function delete_old_publications(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from event_publications p where p.created_at < statement_timestamp() - p_keep
    and p.publication_no = any (array(select o.publication_no from event_publications o
      order by o.publication_no limit 100000));
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

/* What the log said so far, as far back as a stream is ever filled. */
const carrying = `
insert into event_publications (publication_no, event_nos, company_nos, created_at, incarnation, stream_seqs, last_seq,
    published_at)
  select e.event_no, array[e.event_no], array[e.company_no], e.created_at, e.incarnation,
    case when e.stream_seq is not null then array[e.stream_seq] end, e.stream_seq, e.published_at
  from whatsapp_events e where e.created_at > now() - interval '3 days';
drop function mark_events(text, int[], bigint[], timestamptz[], bigint[], interval);
drop index whatsapp_events_unmarked;
drop index whatsapp_events_marked;
drop policy relay_update on whatsapp_events;
alter table whatsapp_events drop column incarnation, drop column stream_seq, drop column published_at;
`;

const security = [
  protect("event_publications"),
  policy("event_publications", "owner", "all", "true"),
  grant(
    "relay",
    "select, update (incarnation, stream_seqs, last_seq, published_at)",
    "event_publications",
  ),
  policy("event_publications", "relay", "select", "true"),
  policy("event_publications", "relay", "update", "true"),
  onlyFor("note_publication()"),
  onlyFor("mark_publications(text, bigint[], int[], bigint[], bigint[], interval)", "relay"),
  onlyFor("delete_old_publications(interval)", "worker"),
].join("\n");

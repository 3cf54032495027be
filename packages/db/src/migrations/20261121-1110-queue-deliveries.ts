/** Queueing deliveries is one call of a function: planning that statement took longer than doing it. */
import type { Kysely } from "kysely";
import { onlyFor, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, functions);
  await run(db, security);
}

/*
 * An event is queued once for each subscription that asks for it by one of its filters (words with blanks between), if it
 * happened after that was made. p_incarnation null: the place in the stream is not noted; of nothing queued only if
 * p_is_kept. Returns the queues that have something new.
 */
const functions = `
create function queue_deliveries(
  p_events text[], p_companies text[], p_types text[], p_filters text[], p_chats text[], p_seqs bigint[],
  p_ats timestamptz[], p_holds int[], p_incarnation text, p_stream_seq bigint, p_is_kept boolean
) returns table (company_no int, subscription_id text)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
begin
  return query
    with queued as (
      insert into deliveries as d (company_no, subscription_id, event_id, type, chat, seq, due_at)
      select s.company_no, s.subscription_id, e.event_id, e.type, e.chat,
        case when e.chat is not null then coalesce(e.seq, 0) end,
        clock_timestamp() + e.hold_ms * interval '1 millisecond'
      from unnest(p_events, p_companies, p_types, p_filters, p_chats, p_seqs, p_ats, p_holds)
        with ordinality as e (event_id, company_id, type, filters, chat, seq, at, hold_ms, place)
      join companies c on c.company_id = e.company_id
      join webhook_subscriptions s on s.company_no = c.company_no and s.is_enabled
        and s.events && string_to_array(e.filters, ' ')
        and e.at > s.created_at - interval '1 second'
      order by e.place
      on conflict (company_no, subscription_id, event_id) do nothing
      returning d.company_no, d.subscription_id
    ), placed as (
      insert into webhook_intake (incarnation, stream_seq)
      select p_incarnation, p_stream_seq
      where p_incarnation is not null and (p_is_kept or exists (select from queued))
      on conflict (is_only) do update set incarnation = excluded.incarnation, stream_seq = excluded.stream_seq
    )
    select distinct q.company_no, q.subscription_id from queued q;
end $$;
`;

const security = onlyFor(
  "queue_deliveries(text[], text[], text[], text[], text[], bigint[], timestamptz[], int[], text, bigint, boolean)",
  "notify",
);

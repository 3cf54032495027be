/** What comes in for numbers of WPP servers: their sessions, files that come along, and messages with two names. */
import type { Kysely } from "kysely";
import { ANY_HELD, grant, onlyFor, policy, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, names);
  await run(db, holding);
  await run(db, security);
}

/*
 * The platform names a message that was sent by its task until WhatsApp has given it an id; both go on being used.
 * From then on task_id has the former and provider_message_id the latter.
 */
const names = `
alter table messages add task_id text;
create index messages_task on messages (company_no, number_no, task_id) where task_id is not null;

create function name_task(p_company int, p_number int, p_task text, p_id text) returns boolean
language sql as $$
  with named as (
  update messages set task_id = provider_message_id, provider_message_id = p_id
  where company_no = p_company and number_no = p_number and provider_message_id = p_task and direction = 'out'
    and task_id is null
  returning 1)
  select exists (select from named);
$$;
`;

/* Like hold_routes, for numbers that are known: their fences are held at whatever epoch they have. */
const holding = `
create function hold_numbers(p_companies int[], p_numbers int[])
returns table (company_no int, number_no int, epoch bigint, company_id text, number_id text, phone text)
language plpgsql as $$
#variable_conflict use_column
begin
  return query
    with fences as materialized (
      select f.company_no, f.number_no, f.epoch from unnest(p_companies, p_numbers) as w (company, number)
      join number_fence f on f.company_no = w.company and f.number_no = w.number
      order by f.company_no, f.number_no
      for share of f
    ), noted as materialized (
      select note_held(array_agg(f.company_no), array_agg(f.number_no), array_agg(f.epoch)) from fences f
      having count(*) > 0
    )
    select f.company_no, f.number_no, f.epoch, c.company_id, n.number_id, n.phone_e164
    from fences f
    join companies c on c.company_no = f.company_no
    join numbers n on n.company_no = f.company_no and n.number_no = f.number_no
    cross join noted
    order by f.company_no, f.number_no;
end $$;
`;

const security = [
  onlyFor("hold_numbers(int[], int[])", "ingest"),
  onlyFor("name_task(int, int, text, text)", "ingest", "worker"),
  grant("ingest", "update (task_id)", "messages"),
  grant("worker", "update (task_id)", "messages"),

  // Whose the address of a webhook is, and which session it has to name.
  grant(
    "ingest",
    "select (webhook_key, settings, status, reason, since, last_connected_at, desired_state)",
    "numbers",
  ),
  grant("ingest", "select (shard_id)", "companies"),

  // What a server tells of a session is its number's status.
  grant(
    "ingest",
    "update (status, reason, since, until, last_connected_at, phone_e164)",
    "numbers",
  ),
  policy("numbers", "ingest", "update", ANY_HELD),
  grant("ingest", "select, insert, update", "pairing_attempts"),
  policy("pairing_attempts", "ingest", "select", ANY_HELD),
  policy("pairing_attempts", "ingest", "insert", ANY_HELD),
  policy("pairing_attempts", "ingest", "update", ANY_HELD),

  // A file that came along is in the store before its row is there.
  grant("ingest", "select (location), insert (state, location, stored_at)", "media"),
  grant("worker", "insert (state, location, stored_at)", "media"),
].join("\n");

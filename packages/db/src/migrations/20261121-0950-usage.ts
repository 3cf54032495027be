/** What Meta charges for, counted once; who was written to in a portfolio; when an address was proved to be ours. */
import type { Kysely } from "kysely";
import { ANY_HELD, grant, onlyFor, OWN, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

/*
 * Of a company that is deleted nothing stays; of a number that is removed the usage does, it is still to be paid.
 * People of a portfolio are counted over all companies that have numbers in it, and are known by a hash only.
 */
const tables = `
create table number_usage (
  company_no int not null references companies on delete cascade,
  number_no int not null,
  day date not null,
  category text not null,
  kind text not null,
  is_billable boolean not null,
  priced bigint not null default 0,
  delivered bigint not null default 0,
  primary key (company_no, number_no, day, category, kind, is_billable)
);

create table priced_messages (
  company_no int not null references companies on delete cascade,
  number_no int not null,
  hash bytea not null,
  is_delivered boolean not null,
  at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no, hash)
);
create index priced_messages_at on priced_messages (at);

create table portfolio_people (
  portfolio_id text not null,
  person bytea not null,
  at timestamptz not null default clock_timestamp(),
  primary key (portfolio_id, person)
);
create index portfolio_people_at on portfolio_people (portfolio_id, at);

create table webhook_handshakes (
  path text primary key,
  at timestamptz not null default clock_timestamp()
);
`;

/*
 * A message has a price in the status that says it was sent, and again in the first that says it arrived. Each counts
 * once, however often and in whatever order they come: priced_messages remembers them for longer than a message can
 * be on its way (30 days).
 */
const functions = `
create function note_usage(
  p_companies int[], p_numbers int[], p_hashes bytea[], p_delivered boolean[], p_days date[],
  p_categories text[], p_kinds text[], p_billable boolean[], p_people bytea[]
) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  with given as (
    select distinct on (company_no, number_no, hash) company_no, number_no, hash, day, category, kind, is_billable,
      person, bool_or(arrived) over (partition by company_no, number_no, hash) as arrived
    from unnest(p_companies, p_numbers, p_hashes, p_delivered, p_days, p_categories, p_kinds, p_billable, p_people)
      with ordinality
      as g (company_no, number_no, hash, arrived, day, category, kind, is_billable, person, place)
    order by company_no, number_no, hash, place
  ), noted as (
    insert into priced_messages as m (company_no, number_no, hash, is_delivered)
      select company_no, number_no, hash, arrived from given order by 1, 2, 3
      on conflict (company_no, number_no, hash) do update set is_delivered = true
        where excluded.is_delivered and not m.is_delivered
      returning m.company_no, m.number_no, m.hash, m.is_delivered, m.xmax = 0 as is_new
  ), opened as (
    insert into portfolio_people as p (portfolio_id, person)
      select distinct n.settings ->> 'portfolioId', g.person
      from noted o join given g on g.company_no = o.company_no and g.number_no = o.number_no and g.hash = o.hash
      join numbers n on n.company_no = g.company_no and n.number_no = g.number_no
      where o.is_new and g.person is not null and n.settings ->> 'portfolioId' is not null
      order by 1, 2
      on conflict (portfolio_id, person) do update set at = clock_timestamp()
  )
  insert into number_usage as u (company_no, number_no, day, category, kind, is_billable, priced, delivered)
    select g.company_no, g.number_no, g.day, g.category, g.kind, g.is_billable,
      count(*) filter (where o.is_new), count(*) filter (where o.is_delivered)
    from noted o join given g on g.company_no = o.company_no and g.number_no = o.number_no and g.hash = o.hash
    group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6
    on conflict (company_no, number_no, day, category, kind, is_billable)
      do update set priced = u.priced + excluded.priced, delivered = u.delivered + excluded.delivered;
end $$;

create function count_portfolio_people(p_portfolio text) returns int
language sql stable security definer set search_path = public, pg_temp as $$
  select count(*)::int from portfolio_people
  where portfolio_id = p_portfolio and at > statement_timestamp() - interval '1 day'
$$;

create function delete_old_usage() returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
  v_all int := 0;
begin
  delete from number_usage where day < current_date - 400;
  get diagnostics v_count = row_count;
  v_all := v_all + v_count;
  delete from priced_messages where at < statement_timestamp() - interval '40 days';
  get diagnostics v_count = row_count;
  v_all := v_all + v_count;
  delete from portfolio_people where at < statement_timestamp() - interval '2 days';
  get diagnostics v_count = row_count;
  v_all := v_all + v_count;
  delete from webhook_handshakes where at < statement_timestamp() - interval '400 days';
  get diagnostics v_count = row_count;
  return v_all + v_count;
end $$;
`;

const NOTE_USAGE =
  "note_usage(int[], int[], bytea[], boolean[], date[], text[], text[], boolean[], bytea[])";

const security = [
  protect("number_usage", "priced_messages", "portfolio_people", "webhook_handshakes"),
  onlyFor(NOTE_USAGE, "ingest"),
  onlyFor("count_portfolio_people(text)", "app"),
  onlyFor("delete_old_usage()", "worker"),
  policy("number_usage", "owner", "all", "true"),
  policy("priced_messages", "owner", "all", "true"),
  policy("portfolio_people", "owner", "all", "true"),
  policy("webhook_handshakes", "owner", "all", "true"),

  grant("ingest", "select (settings)", "numbers"),
  grant("ingest", "select, insert, update (priced, delivered)", "number_usage"),
  policy("number_usage", "ingest", "all", ANY_HELD),
  grant("ingest", "select, insert, update (is_delivered)", "priced_messages"),
  policy("priced_messages", "ingest", "all", ANY_HELD),
  grant("ingest", "select, insert, update (at)", "portfolio_people"),
  policy("portfolio_people", "ingest", "all", "true"),
  grant("ingest", "select, insert, update (at)", "webhook_handshakes"),
  policy("webhook_handshakes", "ingest", "all", "true"),

  grant("app", "select", "number_usage"),
  policy("number_usage", "app", "select", OWN),
  grant("worker", "select", "webhook_handshakes"),
  policy("webhook_handshakes", "worker", "select", "true"),
].join("\n");

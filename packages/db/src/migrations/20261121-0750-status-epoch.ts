/** A status says under which epoch it was written, so that nobody is believed for what a former owner saw. */
import type { Kysely } from "kysely";
import { grant, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, column);
  await run(db, stamp);
  await run(db, security);
  await run(db, view);
}

/*
 * The view is locked before its table, as its readers do. What is connected now goes on as it was judged
 * until now: by the lease there is. The owner of the table has no right to write rows (row security is
 * forced), so that is lifted for this one statement; nobody else sees the table meanwhile.
 */
const column = `
alter view whatsapp_connection_status set (security_invoker = true);
alter table numbers add status_epoch bigint not null default 0;
alter table numbers no force row level security;
update numbers n set status_epoch = l.epoch
  from companies c join shard_leases l on l.shard_id = c.shard_id
  where c.company_no = n.company_no and n.status = 'connected' and l.owner is not null;
alter table numbers force row level security;
`;

/*
 * The database stamps each status with the epoch of the fence that its writer holds: no statement can forget
 * it or name another, and workers of the release before, which know no such column, are stamped too. Without
 * a held fence it is nobody's word: 0, which is no lease's epoch.
 */
const stamp = `
create function stamp_status_epoch() returns trigger language plpgsql as $$
begin
  new.status_epoch := coalesce(held_epoch(new.number_no), 0);
  return new;
end $$;
create trigger stamp_status_epoch before update of status on numbers
  for each row execute function stamp_status_epoch();
`;

const security = grant("app", "select (epoch, claimed_at)", "shard_leases");

/* As before, but that "connected" is believed of the lease under which it was written only. */
const view = `
create or replace view whatsapp_connection_status with (security_invoker = true) as
select
  c.company_no,
  c.company_id,
  c.name as company_name,
  c.whatsapp_enabled,
  n.number_id,
  n.provider,
  (select case a.method when 'code' then 'pairing_code' else a.method end from pairing_attempts a
    where a.company_no = n.company_no and a.number_no = n.number_no and a.outcome = 'succeeded'
    order by a.started_at desc limit 1) as whatsapp_connection_method,
  n.last_connected_at as last_whatsapp_connection,
  s.status as current_status,
  s.reason,
  100 - 10 * least(coalesce(h.reconnect_attempts, 0), 5)
    - case when s.status = 'connected' then 0 else 40 end as health_score,
  coalesce(h.reconnect_attempts, 0) as reconnect_attempts,
  h.last_seen,
  coalesce((select a.k from pairing_attempts a
    where a.company_no = n.company_no and a.number_no = n.number_no and a.ended_at is null), 0) as qr_attempts,
  coalesce((select count(*)::int from unnest(r.spent_at) t
    where t > clock_timestamp() - r.window_ms * interval '1 millisecond'), 0) as pairing_attempts,
  case when r.blocked_until > clock_timestamp() then r.blocked_until end as blocked_until,
  case
    when s.status = 'blocked' then 'blocked'
    when s.status = 'connected' then 'healthy'
    when h.reconnect_attempts > 5 then 'unhealthy'
    else 'unknown'
  end as overall_health
from companies c
join numbers n on n.company_no = c.company_no and n.is_primary
left join shard_leases l on l.shard_id = c.shard_id
left join whatsapp_session_health h on h.company_no = n.company_no and h.number_no = n.number_no
left join whatsapp_rate_limits r on r.company_no = c.company_no
cross join lateral (select
  coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner,
  coalesce(n.provider = 'linked' and r.blocked_until > clock_timestamp() and not exists (
    select 1 from auth_creds k where k.company_no = n.company_no and k.number_no = n.number_no), false) as is_blocked) f
cross join lateral (select
  case when f.has_owner and n.status = 'connected' and n.status_epoch = l.epoch then 'connected'
    when f.is_blocked then 'blocked' when not f.has_owner then 'disconnected'
    when n.status = 'connected' then 'connecting' else n.status end as status,
  case when f.has_owner and n.status = 'connected' and n.status_epoch = l.epoch then n.reason
    when f.is_blocked then 'rate_limited' when not f.has_owner then 'no_owner'
    when n.status = 'connected' then 'opening' else n.reason end as reason) s
where c.whatsapp_enabled;
`;

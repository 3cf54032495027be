/** The views that readers of the first design know: status and pairing codes, under row security. */
import type { Kysely } from "kysely";
import { run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, views);
}

/*
 * security_invoker: without it a view shows what its owner sees. A phone is masked as `maskPhone` does it,
 * and a code is never shown: the column is there for readers that expect it.
 */
const views = `
create view whatsapp_connection_status with (security_invoker = true) as
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
  case when f.has_owner and n.status = 'connected' then 'connected'
    when f.is_blocked then 'blocked' when not f.has_owner then 'disconnected' else n.status end as status,
  case when f.has_owner and n.status = 'connected' then n.reason
    when f.is_blocked then 'rate_limited' when not f.has_owner then 'no_owner' else n.reason end as reason) s
where c.whatsapp_enabled;

create view whatsapp_pairing_codes with (security_invoker = true) as
select
  c.company_no,
  c.company_id,
  n.number_id,
  a.attempt_id,
  left(a.phone, 4) || repeat('•', greatest(length(a.phone) - 6, 0)) || right(a.phone, 2) as phone_number,
  null::text as code,
  case
    when a.outcome = 'succeeded' then 'used'
    when a.ended_at is null and a.expires_at > clock_timestamp() then 'pending'
    else 'expired'
  end as status,
  a.expires_at,
  case when a.outcome = 'succeeded' then a.ended_at end as used_at,
  a.issued_at as created_at
from pairing_attempts a
join numbers n on n.company_no = a.company_no and n.number_no = a.number_no
join companies c on c.company_no = a.company_no
where a.method = 'code' and a.issued_at is not null;

grant select on whatsapp_connection_status, whatsapp_pairing_codes to manyline_app, manyline_platform;
`;

import type { Restriction } from "@manyline/contracts";
import { sql } from "kysely";
import { type Executor, firstRow } from "../open.ts";
import type { CompanyRow } from "./companies.ts";
import { ownerlessSince, ownerSince } from "./lease-rules.ts";
import { type NumberRow, numberColumns } from "./numbers.ts";
import { type AttemptRow, attemptFields } from "./pairing-attempts.ts";

/** Everything a status answer is derived from, as of one moment. */
export type StatusRow = {
  number: NumberRow;
  company: CompanyRow;
  /** The live attempt, else the newest that ended within the last hour. */
  attempt: AttemptRow | undefined;
  /** The shard of the company has a live lease. */
  hasOwner: boolean;
  /** When the shard's owner took it; null: it has none. */
  ownerSince: Date | null;
  /** When the shard lost its owner: released, or its lease ran out. Null: it has one, or never had. */
  ownerlessSince: Date | null;
  /** It has no owner because an operator paused its shard. */
  isPaused: boolean;
  /** What WhatsApp does not let it send for now. */
  restriction: Restriction | null;
  /** The end of the company's cooldown, if it lies ahead. */
  blockedUntil: Date | null;
  /** Codes the company may still ask for in its rolling hour; 0 during a cooldown. */
  codesLeft: number;
  health: { reconnectAttempts: number; lastSeenAt: Date | null };
  /** The clock of Postgres at the time of reading. */
  dbNow: Date;
};

/** A row as json_build_object gives it: dates are text. */
type Json<Fields> = {
  [Name in keyof Fields]: Fields[Name] extends Date
    ? string
    : Fields[Name] extends Date | null
      ? string | null
      : Fields[Name];
};

type Row = NumberRow & {
  company: Json<CompanyRow>;
  attempt: Json<AttemptRow> | null;
  hasOwner: boolean;
  ownerSince: Date | null;
  ownerlessSince: Date | null;
  isPaused: boolean;
  restriction: Restriction | null;
  blockedUntil: Date | null;
  codesLeft: number;
  reconnectAttempts: number;
  lastSeenAt: Date | null;
  dbNow: Date;
};

/** A company that has not asked for a code has no row in whatsapp_rate_limits: the whole hour is free. */
const DEFAULT_CODES = 5;

/** Reads a number's status in one query; undefined when there is no such number. */
export async function readStatus(
  executor: Executor,
  companyNo: number,
  numberNo: number,
): Promise<StatusRow | undefined> {
  const row = await firstRow(
    executor,
    sql<Row>`
      select ${numberColumns},
        json_build_object('companyNo', c.company_no, 'companyId', c.company_id, 'name', c.name,
          'country', c.country, 'phone', c.phone, 'adminEmail', c.admin_email,
          'notificationEmail', c.notification_email, 'timezone', c.timezone, 'language', c.language,
          'whatsappEnabled', c.whatsapp_enabled, 'whatsappConfig', c.whatsapp_config,
          'phoneMissingNotified', c.phone_missing_notified, 'createdAt', c.created_at,
          'updatedAt', c.updated_at) as company,
        (select ${attemptFields} from pairing_attempts a
          where a.company_no = n.company_no and a.number_no = n.number_no
            and (a.ended_at is null or a.ended_at > clock_timestamp() - interval '1 hour')
          order by a.ended_at is null desc, a.started_at desc limit 1) as attempt,
        coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner,
        ${ownerSince} as owner_since, ${ownerlessSince} as ownerless_since,
        coalesce(l.paused and (l.owner is null or l.expires_at <= clock_timestamp()), false) as is_paused,
        case when n.restriction ->> 'until' is null
          or (n.restriction ->> 'until')::timestamptz > clock_timestamp() then n.restriction end as restriction,
        case when r.blocked_until > clock_timestamp() then r.blocked_until end as blocked_until,
        case when r.company_no is null then ${DEFAULT_CODES}
          when r.blocked_until > clock_timestamp() then 0
          else r.per_hour - (select count(*)::int from unnest(r.spent_at) t
            where t > clock_timestamp() - r.window_ms * interval '1 millisecond')
        end as codes_left,
        coalesce(h.reconnect_attempts, 0) as reconnect_attempts,
        h.last_seen as last_seen_at,
        clock_timestamp() as db_now
      from numbers n
      join companies c on c.company_no = n.company_no
      left join shard_leases l on l.shard_id = c.shard_id
      left join whatsapp_rate_limits r on r.company_no = n.company_no
      left join whatsapp_session_health h on h.company_no = n.company_no and h.number_no = n.number_no
      where n.company_no = ${companyNo} and n.number_no = ${numberNo}`,
  );
  if (row === undefined) return undefined;
  const { company, attempt, blockedUntil, codesLeft, dbNow, ...rest } = row;
  const { hasOwner, ownerSince: takenAt, ownerlessSince: lostAt, ...facts } = rest;
  const { isPaused, restriction, reconnectAttempts, lastSeenAt, ...number } = facts;
  return {
    number,
    company: {
      ...company,
      createdAt: new Date(company.createdAt),
      updatedAt: new Date(company.updatedAt),
    },
    attempt: attempt === null ? undefined : reviveAttempt(attempt),
    hasOwner,
    ownerSince: takenAt,
    ownerlessSince: lostAt,
    isPaused,
    restriction,
    blockedUntil,
    codesLeft,
    health: { reconnectAttempts, lastSeenAt },
    dbNow,
  };
}

function reviveAttempt(attempt: Json<AttemptRow>): AttemptRow {
  return {
    ...attempt,
    startedAt: new Date(attempt.startedAt),
    issuedAt: toDate(attempt.issuedAt),
    expiresAt: toDate(attempt.expiresAt),
    endedAt: toDate(attempt.endedAt),
  };
}

function toDate(value: string | null): Date | null {
  return value === null ? null : new Date(value);
}

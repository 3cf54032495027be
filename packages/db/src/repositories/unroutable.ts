import { createHash } from "node:crypto";
import { sql } from "kysely";
import { changed, type Executor, rows, type Tx } from "../open.ts";
import { nameable } from "./inbound-batch.ts";
import type { IngestWebhook, Piece } from "./ingest-routes.ts";

/**
 * Why a change is for nobody. `wrong_account`: the number is known, under another account; `not_active`: it is
 * known, and Meta has not confirmed it yet; `number_not_named`: of several in the account, nobody knows for which;
 * `too_large`: it was told, but its details did not fit into the event;
 * `failed`: it could not be stored.
 */
export const UNROUTABLE_REASONS = [
  "unknown_number",
  "wrong_account",
  "not_active",
  "other_company",
  "unknown_account",
  "number_not_named",
  "nothing_named",
  "too_large",
  "failed",
] as const;
export type UnroutableReason = (typeof UNROUTABLE_REASONS)[number];

/** Changes with the same place and reason. */
export type UnroutableRow = {
  reason: UnroutableReason;
  wabaId: string | null;
  phoneNumberId: string | null;
  displayPhone: string | null;
  /** The company whose own app has signed them; null: the app of all. */
  appCompanyId: string | null;
  fields: string[];
  changes: number;
  /** Messages, statuses and notices in them. */
  pieces: number;
  /** How often they came in all: Meta repeats nothing that was taken. */
  times: number;
  firstAt: Date;
  lastAt: Date;
};

type Parked = {
  hash: Buffer;
  reason: UnroutableReason | null;
  app: string | null;
  wabaId: string | null;
  phoneNumberId: string | null;
  displayPhone: string | null;
  field: string;
  pieces: number;
  payload: Buffer;
  /** The change came with a part that is committed already; this is more of it. */
  isMore: boolean;
};

/** Keeps the changes of these pieces, each once. Returns how many changes. Role ingest. */
export async function parkPieces(tx: Tx, pieces: readonly Piece[]): Promise<number> {
  if (pieces.length === 0) return 0;
  const parked = changesOf(pieces);
  await insertParked(tx, parked);
  return parked.length;
}

/** By change. */
function changesOf(pieces: readonly Piece[]): Parked[] {
  const changes = new Map<IngestWebhook, Map<string, Piece[]>>();
  for (const piece of pieces) {
    const places = changes.get(piece.from) ?? new Map<string, Piece[]>();
    changes.set(piece.from, places);
    const place = piece.item.place.join(".");
    places.set(place, [...(places.get(place) ?? []), piece]);
  }
  return [...changes.values()].flatMap((places) => [...places.values()].flatMap(parkedOf));
}

/** Keeps the changes of a webhook that cannot be stored. Role ingest. */
export async function parkWebhook(executor: Executor, webhook: IngestWebhook): Promise<void> {
  const pieces = webhook.webhook.items.map((item): Piece => ({ from: webhook, item }));
  const parked = changesOf(pieces);
  for (const one of parked) {
    one.reason = "failed";
    one.isMore = false;
    // Beside what else of the same change is kept for another reason.
    one.hash = createHash("sha256").update("failed").update(one.hash).digest();
  }
  await insertParked(executor, parked);
}

function parkedOf(pieces: readonly Piece[]): Parked[] {
  const [first] = pieces;
  if (!first) return [];
  const { item, from } = first;
  const { route } = item;
  const payload = payloadOf(from, item.place);
  const app = from.app?.companyId ?? null;
  const isLarge = pieces.every(
    ({ item: { input } }) => input.kind === "notice" && input.data.isTruncated,
  );
  const orNull = (text: string | null): string | null => (text === null ? null : nameable(text));
  return [
    {
      hash: createHash("sha256")
        .update(`${app ?? ""}\0${item.place.length}\0`)
        .update(payload)
        .digest(),
      reason: route.wabaId === null ? "nothing_named" : isLarge ? "too_large" : null,
      app,
      wabaId: orNull(route.wabaId),
      phoneNumberId: orNull(route.phoneNumberId),
      displayPhone: orNull(route.displayPhone),
      field: nameable(item.field),
      pieces: pieces.length,
      payload,
      isMore: from.after !== undefined && String(from.after) === String(item.place),
    },
  ];
}

/** A webhook with this one change; all of it where it is nested too deeply to be written again. */
function payloadOf({ body, raw }: IngestWebhook, [at, place]: readonly [number, number]): Buffer {
  const fields = (value: unknown): Record<string, unknown> =>
    typeof value === "object" && value !== null ? { ...value } : {};
  const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [value]);
  const { object, entry: entries } = fields(body);
  const entry = list(entries)[at];
  const { changes } = fields(entry);
  const one = changes === undefined ? entry : { ...fields(entry), changes: [list(changes)[place]] };
  try {
    return Buffer.from(JSON.stringify({ object, entry: [one] }));
  } catch {
    return raw;
  }
}

async function insertParked(executor: Executor, parked: readonly Parked[]): Promise<void> {
  const column = <Name extends keyof Parked>(name: Name): Parked[Name][] =>
    parked.map((one) => one[name]);
  // What is replayed counts in any case: what has not grown would be deleted.
  const more = parked.flatMap(({ isMore, hash }) => (isMore ? [hash] : []));
  await sql`insert into unroutable as u (hash, reason, app_company_id, waba_id, phone_number_id, display_phone,
      field, pieces, payload)
    select distinct on (p.hash) p.hash, coalesce(p.reason, known.reason,
        case when p.phone_number_id is not null then 'unknown_number'
          when exists (select from numbers n join companies c using (company_no)
            where n.waba_id = p.waba_id and n.is_active and (p.app is null or p.app = c.company_id))
            then 'number_not_named'
          else 'unknown_account' end),
      p.app, p.waba_id, p.phone_number_id, p.display_phone, p.field, p.pieces, p.payload
    from unnest(${column("hash")}::bytea[], ${column("reason")}::text[], ${column("app")}::text[],
      ${column("wabaId")}::text[], ${column("phoneNumberId")}::text[], ${column("displayPhone")}::text[],
      ${column("field")}::text[], ${column("pieces")}::int[], ${column("payload")}::bytea[])
      as p (hash, reason, app, waba_id, phone_number_id, display_phone, field, pieces, payload)
    left join lateral (
      select case when n.waba_id is distinct from p.waba_id then 'wrong_account'
        when n.is_active then 'other_company' else 'not_active' end as reason
      from numbers n where n.phone_number_id = p.phone_number_id
      order by n.waba_id is not distinct from p.waba_id desc, n.is_active desc limit 1
    ) known on true
    order by p.hash
    on conflict (hash) do update set last_at = clock_timestamp(), times = u.times + case
      when u.replay_at is null and u.hash = any (${more}::bytea[]) then 0 else 1 end`.execute(
    executor,
  );
}

/** What is kept, by place and reason, the latest first. Role platform. */
export async function listUnroutable(executor: Executor, limit: number): Promise<UnroutableRow[]> {
  return rows(
    executor,
    sql<UnroutableRow>`select reason, waba_id, phone_number_id, display_phone, app_company_id,
        array_agg(distinct field order by field) as fields, count(*)::int as changes,
        sum(pieces)::int as pieces, sum(times)::int as times, min(first_at) as first_at, max(last_at) as last_at
      from unroutable group by 1, 2, 3, 4, 5 order by max(last_at) desc limit ${limit}`,
  );
}

/** Undefined: whatever it is. */
export type UnroutablePlace = { wabaId?: string | undefined; phoneNumberId?: string | undefined };

const isAt = ({ wabaId, phoneNumberId }: UnroutablePlace) =>
  sql`(${wabaId ?? null}::text is null or waba_id = ${wabaId ?? null}) and
    (${phoneNumberId ?? null}::text is null or phone_number_id = ${phoneNumberId ?? null})`;

/** Asks webhook-ingest to read these again. Returns how many changes. Role platform. */
export async function askReplay(executor: Executor, place: UnroutablePlace): Promise<number> {
  return changed(
    executor,
    sql`update unroutable set replay_at = clock_timestamp() where ${isAt(place)} and reason <> 'too_large'`,
  );
}

/** Role platform. Returns how many changes. */
export async function deleteUnroutable(
  executor: Executor,
  place: UnroutablePlace,
): Promise<number> {
  return changed(executor, sql`delete from unroutable where ${isAt(place)}`);
}

export type Replay = {
  unroutableNo: number;
  appCompanyId: string | null;
  payload: Buffer;
  times: number;
};

/** The oldest of those that are to be read again. Role ingest. */
export async function claimReplays(executor: Executor, limit: number): Promise<Replay[]> {
  return rows(
    executor,
    sql<Replay>`select unroutable_no, app_company_id, payload, times from unroutable
      where replay_at is not null order by unroutable_no limit ${limit}`,
  );
}

/**
 * Ends replays whose webhooks were committed again: what belongs to nobody still was kept again (`times` has
 * grown) and stays as it was, the rest is deleted. Role ingest.
 */
export async function endReplays(executor: Executor, replays: readonly Replay[]): Promise<void> {
  if (replays.length === 0) return;
  const again = sql`unnest(${replays.map(({ unroutableNo }) => unroutableNo)}::bigint[],
    ${replays.map(({ times }) => times)}::int[]) as r (no, times)`;
  await sql`with kept as (
      update unroutable u set times = r.times, replay_at = null from ${again}
      where u.unroutable_no = r.no and u.times > r.times
    ) delete from unroutable u using ${again} where u.unroutable_no = r.no and u.times = r.times`.execute(
    executor,
  );
}

/** Ends replays that are impossible: their rows stay. Role ingest. */
export async function giveUpReplays(executor: Executor, replays: readonly Replay[]): Promise<void> {
  const numbers = replays.map(({ unroutableNo }) => unroutableNo);
  await sql`update unroutable set replay_at = null where unroutable_no = any (${numbers}::bigint[])`.execute(
    executor,
  );
}

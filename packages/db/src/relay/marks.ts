/** The relay's statements on `event_publications`: what is open, marking, unmarking, comparing. */
import { sql } from "kysely";
import { type Executor, firstRow, rows, type Tx } from "../open.ts";
import { eventColumns, type StoredEvent } from "../repositories/events.ts";

/**
 * Events of one publication that are to be published. `publicationNo`: the number of its first event. `event` null: it
 * is no longer in the log.
 */
export type Publication = {
  publicationNo: number;
  events: { eventNo: number; event: StoredEvent | null }[];
};

/** `seqs` by place of `eventNos`: the sequence in the stream, 0 of an event that is no longer there, null: not published. */
export type Mark = { publicationNo: number; eventNos: number[]; seqs: (number | null)[] };

/**
 * now(), not clock_timestamp(): the planner leaves out partitions only for an expression that is fixed
 * during the statement.
 */
const since = (windowMs: number) => sql`now() - ${windowMs}::bigint * interval '1 millisecond'`;

type OpenRow = {
  publicationNo: number;
  eventNos: number[];
  companyNos: number[];
  streamSeqs: (number | null)[] | null;
};

/**
 * Publications with unpublished events in the order of writing, locked; those another process is publishing are left
 * out. At most `limit`, and no more after the one with which there are `limit` events. `isAll`: there were no others.
 */
export async function lockOpen(
  tx: Tx,
  options: { afterNo: number; unmarkedAfterMs: number; windowMs: number; limit: number },
): Promise<{ publications: Publication[]; isAll: boolean }> {
  const locked = await rows(
    tx,
    sql<OpenRow>`select p.publication_no, p.event_nos, p.company_nos, p.stream_seqs from event_publications p
      where p.published_at is null and p.publication_no > ${options.afterNo}
        and p.created_at > ${since(options.windowMs)}
        and p.created_at < now() - ${options.unmarkedAfterMs}::bigint * interval '1 millisecond'
      order by p.publication_no limit ${options.limit} for update skip locked`,
  );
  let count = 0;
  const chosen = locked.filter(({ eventNos }) => {
    const isRoom = count < options.limit;
    count += eventNos.length;
    return isRoom;
  });
  const wanted = chosen.map(({ publicationNo, eventNos, companyNos, streamSeqs }) => {
    const all = eventNos.map((no, place) => ({ no, company: companyNos[place] ?? 0, place }));
    const open = all.filter(({ place }) => (streamSeqs?.[place] ?? null) === null);
    return { publicationNo, open };
  });
  const places = wanted.flatMap(({ open }) => open);
  const found = await rows(
    tx,
    sql<StoredEvent>`select ${eventColumns}
      from unnest(${places.map(({ no }) => no)}::bigint[], ${places.map(({ company }) => company)}::int[])
        as w (no, company)
      cross join lateral (select x.* from whatsapp_events x
        where x.company_no = w.company and x.event_no = w.no offset 0) e`,
  );
  const byNo = new Map(found.map((event) => [event.eventNo, event]));
  const publications = wanted.map(({ publicationNo, open }) => ({
    publicationNo,
    events: open.map(({ no }) => ({ eventNo: no, event: byNo.get(no) ?? null })),
  }));
  return { publications, isAll: chosen.length === locked.length && locked.length < options.limit };
}

/**
 * Marks what was published, in one statement. Returns the lowest sequence that an event of another publication is
 * already marked with: a sequence given twice means that the stream's store was rolled back in between.
 */
export async function markPublished(
  executor: Executor,
  incarnation: string,
  marks: readonly Mark[],
  windowMs: number,
): Promise<number | undefined> {
  if (marks.length === 0) return undefined;
  const row = await firstRow(
    executor,
    sql<{ clash: number | null }>`select mark_publications(${incarnation},
      ${marks.map(({ publicationNo }) => publicationNo)}::bigint[],
      ${marks.map(({ seqs }) => seqs.length)}::int[],
      ${marks.flatMap(({ eventNos }) => eventNos)}::bigint[], ${marks.flatMap(({ seqs }) => seqs)}::bigint[],
      ${windowMs}::bigint * interval '1 millisecond') as clash`,
  );
  return row?.clash ?? undefined;
}

const UNMARK_BATCH = 2_000;

/** Forgets, many at a time, what `forget` does with the publications that `condition` finds. Returns how many events. */
async function unmark(
  executor: Executor,
  condition: ReturnType<typeof sql>,
  kept: ReturnType<typeof sql>,
  windowMs: number,
): Promise<number> {
  let total = 0;
  for (;;) {
    const done = await rows(
      executor,
      sql<{ lost: number }>`with found as (
          select p.publication_no from event_publications p
          where p.created_at > ${since(windowMs)} and ${condition}
          order by p.publication_no limit ${UNMARK_BATCH} for update skip locked
        ), judged as (
          select p.publication_no, p.stream_seqs as before, ${kept} as seqs
          from event_publications p join found using (publication_no)
        )
        update event_publications p set stream_seqs = j.seqs, published_at = null,
          last_seq = (select max(s.seq) from unnest(j.seqs) as s (seq)),
          incarnation = case when exists (select from unnest(j.seqs) as s (seq) where s.seq is not null)
            then p.incarnation end
        from judged j where j.publication_no = p.publication_no
        returning (select count(*) from unnest(j.before) as s (seq) where s.seq > 0)
          - (select count(*) from unnest(j.seqs) as s (seq) where s.seq > 0) as lost`,
    );
    for (const { lost } of done) total += lost;
    if (done.length < UNMARK_BATCH) return total;
  }
}

/** Events of the window that were published into another incarnation of the stream. */
export async function unmarkOthers(
  executor: Executor,
  incarnation: string,
  windowMs: number,
): Promise<number> {
  // Two ranges of the index instead of "not equal", which would read all of it.
  const none = sql`null::bigint[]`;
  const below = await unmark(executor, sql`p.incarnation < ${incarnation}`, none, windowMs);
  return below + (await unmark(executor, sql`p.incarnation > ${incarnation}`, none, windowMs));
}

/** Events marked from `fromSeq` on in this incarnation, except those of publications just marked. */
export async function unmarkFrom(
  executor: Executor,
  incarnation: string,
  fromSeq: number,
  windowMs: number,
  except: readonly number[] = [],
): Promise<number> {
  return unmark(
    executor,
    sql`p.incarnation = ${incarnation} and p.last_seq >= ${fromSeq}
      and p.publication_no <> all (${[...except]}::bigint[])`,
    sql`array(select case when s.seq < ${fromSeq} then s.seq end
      from unnest(p.stream_seqs) with ordinality as s (seq, place) order by s.place)`,
    windowMs,
  );
}

/** The highest sequence that is marked in this incarnation; 0 when none is. */
export async function highestMarked(
  executor: Executor,
  incarnation: string,
  windowMs: number,
): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ highest: number | null }>`select max(p.last_seq) as highest from event_publications p
      where p.incarnation = ${incarnation} and p.created_at > ${since(windowMs)}`,
  );
  return row?.highest ?? 0;
}

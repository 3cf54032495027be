/** The relay's statements on `whatsapp_events`: what is unmarked, marking, unmarking, comparing. */
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import { eventColumns, type StoredEvent } from "../repositories/events.ts";

export type Mark = { event: StoredEvent; seq: number };

/**
 * now(), not clock_timestamp(): the planner leaves out partitions only for an expression that is fixed
 * during the statement.
 */
const since = (windowMs: number) => sql`now() - ${windowMs}::bigint * interval '1 millisecond'`;

/** Unmarked events in the order of writing, locked; those another process is publishing are left out. */
export async function lockUnmarked(
  tx: Tx,
  options: { afterNo: number; unmarkedAfterMs: number; windowMs: number; limit: number },
): Promise<StoredEvent[]> {
  return rows(
    tx,
    sql<StoredEvent>`select ${eventColumns} from whatsapp_events e
      where e.stream_seq is null and e.event_no > ${options.afterNo}
        and e.created_at > ${since(options.windowMs)}
        and e.created_at < now() - ${options.unmarkedAfterMs}::bigint * interval '1 millisecond'
      order by e.event_no limit ${options.limit} for update skip locked`,
  );
}

/**
 * Marks published events, in one statement. Returns the lowest sequence that another event is already
 * marked with: a sequence given twice means that the stream's store was rolled back in between.
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
    sql<{ clash: number | null }>`select mark_events(${incarnation},
      ${marks.map(({ event }) => event.companyNo)}::int[], ${marks.map(({ event }) => event.eventNo)}::bigint[],
      ${marks.map(({ event }) => event.createdAt)}::timestamptz[], ${marks.map(({ seq }) => seq)}::bigint[],
      ${windowMs}::bigint * interval '1 millisecond') as clash`,
  );
  return row?.clash ?? undefined;
}

const UNMARK_BATCH = 2_000;

/** Forgets where events were published, so that they are published again. Returns how many. */
async function unmark(
  executor: Executor,
  condition: ReturnType<typeof sql>,
  windowMs: number,
): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await changed(
      executor,
      sql`update whatsapp_events e set incarnation = null, stream_seq = null, published_at = null
        where (e.company_no, e.event_no, e.created_at) in (
          select x.company_no, x.event_no, x.created_at from whatsapp_events x
          where x.created_at > ${since(windowMs)} and ${condition}
          order by x.event_no limit ${UNMARK_BATCH} for update skip locked)`,
    );
    total += count;
    if (count < UNMARK_BATCH) return total;
  }
}

/** Events of the window that were published into another incarnation of the stream. */
export async function unmarkOthers(
  executor: Executor,
  incarnation: string,
  windowMs: number,
): Promise<number> {
  // Two ranges of the index instead of "not equal", which would read all of it.
  const below = await unmark(executor, sql`x.incarnation < ${incarnation}`, windowMs);
  return below + (await unmark(executor, sql`x.incarnation > ${incarnation}`, windowMs));
}

/** Events marked from `fromSeq` on in this incarnation, except those just marked. */
export async function unmarkFrom(
  executor: Executor,
  incarnation: string,
  fromSeq: number,
  windowMs: number,
  except: readonly number[] = [],
): Promise<number> {
  return unmark(
    executor,
    sql`x.incarnation = ${incarnation} and x.stream_seq >= ${fromSeq}
      and not x.event_no = any (${[...except]}::bigint[])`,
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
    sql<{ highest: number | null }>`select max(e.stream_seq) as highest from whatsapp_events e
      where e.incarnation = ${incarnation} and e.created_at > ${since(windowMs)}`,
  );
  return row?.highest ?? 0;
}

import { ManylineError } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { changed, type Executor, firstRow, type Tx } from "../open.ts";
import { mediaContext } from "./auth-contexts.ts";
import type { Fence } from "./fence.ts";

/** `remote`: WhatsApp has it, its owner can fetch it; `stored`: at `location`; `gone`: nobody has it any more. */
export type MediaState = "remote" | "stored" | "gone";

export type MediaRow = {
  companyNo: number;
  mediaId: string;
  numberNo: number;
  /** null: uploaded, and not sent yet. */
  messageId: string | null;
  /** The type of its message: `image`, `voice`, … */
  kind: string;
  mimeType: string;
  bytes: number | null;
  sha256: string | null;
  fileName: string | null;
  state: MediaState;
  location: string | null;
  createdAt: Date;
  storedAt: Date | null;
};

const columns = sql.raw(
  [
    "company_no, media_id, number_no, message_id, kind, mime_type, bytes, sha256, file_name, state, location",
    "created_at, stored_at",
  ].join(", "),
);

export async function getMedia(
  executor: Executor,
  companyNo: number,
  mediaId: string,
): Promise<MediaRow | undefined> {
  return firstRow(
    executor,
    sql<MediaRow>`select ${columns} from media where company_no = ${companyNo} and media_id = ${mediaId}`,
  );
}

export type StoredMedia = Pick<
  MediaRow,
  "companyNo" | "mediaId" | "numberNo" | "kind" | "mimeType" | "bytes" | "sha256" | "fileName"
> & { location: string };

/**
 * A file that was uploaded or fetched for sending and lies in the store. Role app, in `withCompany`. The number is
 * held: nothing of one that is being removed is added.
 * @throws ManylineError NUMBER_NOT_FOUND: it was removed meanwhile, and the file is nobody's
 */
export async function insertMedia(tx: Tx, media: StoredMedia): Promise<void> {
  const count = await changed(
    tx,
    sql`with held as (
        select company_no, number_no from numbers
        where company_no = ${media.companyNo} and number_no = ${media.numberNo} for key share
      )
      insert into media (company_no, media_id, number_no, kind, mime_type, bytes, sha256, file_name, state,
        location, stored_at)
      select company_no, ${media.mediaId}, number_no, ${media.kind}, ${media.mimeType}, ${media.bytes}::bigint,
        ${media.sha256}, ${media.fileName}, 'stored', ${media.location}, clock_timestamp() from held`,
  );
  if (count === 0) throw new ManylineError("NUMBER_NOT_FOUND");
}

/**
 * A file of the number with what it takes to fetch it from WhatsApp, as its normaliser gave it; `source` is
 * null when there is nothing to fetch (uploaded, stored before its message was deleted, gone).
 * @throws FencedError when the fence is not of this epoch
 */
export async function readMediaSource(
  executor: Executor,
  keyring: Keyring,
  fence: Fence,
  mediaId: string,
): Promise<(MediaRow & { source: Buffer | null }) | undefined> {
  const { companyNo, numberNo, epoch } = fence;
  const row = await firstRow(
    executor,
    sql<{ mediaId: string | null } & Omit<MediaRow, "mediaId"> & { source: Buffer | null }>`
      select m.* from (select 1 from number_fence where company_no = ${companyNo} and number_no = ${numberNo}
          and epoch = ${epoch}) f
      left join (select ${columns}, source from media where company_no = ${companyNo}
          and number_no = ${numberNo} and media_id = ${mediaId}) m on true`,
  );
  if (row === undefined) throw new FencedError(fence);
  if (row.mediaId === null) return undefined;
  const { source, ...media } = row;
  const sealer = source && (await keyring.sealer(executor, companyNo));
  return {
    ...media,
    mediaId: row.mediaId,
    source: source && sealer ? sealer.open(mediaContext(numberNo, row.mediaId), source) : null,
  };
}

/**
 * Where the file will be, before it is fetched: whoever drops the row from now on has it removed there. In a fenced
 * transaction. False when there is nothing to fetch any more.
 */
export async function notePlaceOfMedia(
  tx: Tx,
  fence: Fence,
  mediaId: string,
  location: string,
): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update media set location = ${location}
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and media_id = ${mediaId}
        and state = 'remote'`,
  );
  return count > 0;
}

/** The file was fetched and lies in the store. In a fenced transaction. False when its message was deleted meanwhile. */
export async function setMediaStored(
  tx: Tx,
  fence: Fence,
  mediaId: string,
  stored: { location: string; bytes: number },
): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update media set state = 'stored', location = ${stored.location}, bytes = ${stored.bytes},
        stored_at = clock_timestamp()
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and media_id = ${mediaId}
        and state <> 'gone'`,
  );
  return count > 0;
}

/** WhatsApp has the file no more. In a fenced transaction. */
export async function setMediaGone(tx: Tx, fence: Fence, mediaId: string): Promise<void> {
  await sql`update media set state = 'gone', source = null
    where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and media_id = ${mediaId}
      and state = 'remote'`.execute(tx);
}

/** What WPPConnect Server could not deliver: its webhooks come once, so what is unread there is asked for. */
import { newMediaId, normaliseWppConnect, type WppInput, type WppItem } from "@manyline/contracts";
import {
  commitInbound,
  type Database,
  type InboundResult,
  type InboundSource,
  type Keyring,
  type StoredFile,
  wppInboundItems,
} from "@manyline/db";
import { type MediaStore, MediaTooLarge, putBase64 } from "@manyline/media";

export type CatchUpParts = { db: Database; keyring: Keyring; media: MediaStore };

/** As large a file as webhook-ingest keeps. */
const FILE_BYTES = 20 * 1024 * 1024;

/**
 * Commits the messages that `all-unread-messages` answers, under the number's fence; those that a webhook has told are
 * known by their ids and dropped, as those that were caught up with before. Hand the events to the relay.
 * @throws FencedError; nothing was written. MediaStoreError, when the store is away
 */
export async function catchUpWpp(
  { db, keyring, media }: CatchUpParts,
  source: InboundSource,
  session: string,
  unread: readonly unknown[],
): Promise<InboundResult> {
  const now = new Date();
  const items = unread.map((message) =>
    normaliseWppConnect({ ...Object(message), event: "unreadmessages", session }, now),
  );
  const files = await keep(media, source.fence.companyNo, items);
  const result = await commitInbound(db, keyring, source, wppInboundItems(items, now, files));
  const kept = new Set(result.files);
  for (const { mediaId, location } of files.values()) {
    if (!kept.has(mediaId)) await media.remove(location).catch(() => undefined);
  }
  return result;
}

/** What is left behind by a commit that fails goes with what is old. */
async function keep(
  media: MediaStore,
  companyNo: number,
  items: readonly WppItem[],
): Promise<Map<WppInput, StoredFile>> {
  const files = new Map<WppInput, StoredFile>();
  for (const { input } of items) {
    if (input?.kind !== "message" || !input.media || !("base64" in input.media.source)) continue;
    const mediaId = newMediaId();
    try {
      const { base64 } = input.media.source;
      const limits = { maxBytes: FILE_BYTES };
      files.set(input, {
        mediaId,
        ...(await putBase64(media, { companyNo, mediaId }, base64, limits)),
      });
    } catch (error) {
      if (!(error instanceof MediaTooLarge)) throw error;
    }
  }
  return files;
}

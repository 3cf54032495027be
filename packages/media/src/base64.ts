import { MediaTooLarge } from "./store.ts";
import type { MediaKey, MediaStore, StoredMedia } from "./store.ts";

/**
 * Stores a file that came as base64, plain or for URLs; what is no base64 in it is skipped.
 * @throws MediaTooLarge before anything is stored; what `put` throws
 */
export async function putBase64(
  store: MediaStore,
  key: MediaKey,
  base64: string,
  { maxBytes }: { maxBytes: number },
): Promise<StoredMedia> {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.byteLength > maxBytes) throw new MediaTooLarge(maxBytes);
  return store.put(key, [bytes], { maxBytes });
}

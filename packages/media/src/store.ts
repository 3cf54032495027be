/** Where the bytes of files are: a folder, or a bucket that speaks S3. */
import type { Readable } from "node:stream";

/** Bytes as they come: a request's body, a download, a Buffer in an array. */
export type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export type StoredMedia = {
  /** For the column `location`; the same in every kind of store. */
  readonly location: string;
  readonly bytes: number;
  /** Base64. */
  readonly sha256: string;
};

export type OpenMedia = {
  readonly bytes: number;
  /** Read it to its end or `destroy()` it. */
  readonly stream: Readable;
};

/** A file never changes once it is stored; storing it again under the same key replaces it as a whole. */
export type MediaStore = {
  /**
   * Stores all of `content`, or nothing. When this resolves, a crash of the machine loses no byte of it.
   * @throws MediaTooLarge as soon as there are more than `maxBytes`; what `content` throws
   */
  put(key: MediaKey, content: Content, limits: { maxBytes: number }): Promise<StoredMedia>;
  /** Undefined when it is not there (any more). */
  open(location: string): Promise<OpenMedia | undefined>;
  /** What is not there is removed already. */
  remove(location: string): Promise<void>;
  /**
   * Removes what was stored before `before`; returns how many files. A bucket does this by a lifecycle rule
   * of its own: there it does nothing.
   */
  removeOlder(before: Date): Promise<number>;
};

export type MediaKey = { readonly companyNo: number; readonly mediaId: string };

export class MediaTooLarge extends Error {
  override readonly name = "MediaTooLarge";
  readonly maxBytes: number;

  constructor(maxBytes: number) {
    super(`more than ${maxBytes} bytes`);
    this.maxBytes = maxBytes;
  }
}

/** The store itself failed: try again later. */
export class MediaStoreError extends Error {
  override readonly name = "MediaStoreError";
  readonly retry = "later";
}

const LOCATION = /^[1-9][0-9]{0,9}\/[0-9a-f]{2}\/med_[0-9a-f]{32}$/;

/** `<company_no>/<two digits>/<media id>`: a folder holds at most some thousands of them. */
export function locationOf({ companyNo, mediaId }: MediaKey): string {
  return checkLocation(`${companyNo}/${mediaId.slice(-2)}/${mediaId}`);
}

/** Locations become paths and URLs. Throws a TypeError for anything that `locationOf` does not make. */
export function checkLocation(location: string): string {
  if (!LOCATION.test(location)) throw new TypeError("not a location of the media store");
  return location;
}

/** Files that come inside webhooks: into the store before anything is committed. */
import { newMediaId, type WppInput, type WppItem } from "@manyline/contracts";
import type { StoredFile } from "@manyline/db";
import { type MediaStore, MediaTooLarge, putBase64 } from "@manyline/media";
import type { Logger } from "@manyline/runtime";

/** By what each came with. */
export type Files = Map<WppInput, StoredFile>;

export class WppFiles {
  readonly #store: MediaStore;
  readonly #maxBytes: number;
  readonly #logger: Logger;

  constructor(store: MediaStore, maxBytes: number, logger: Logger) {
    this.#store = store;
    this.#maxBytes = maxBytes;
    this.#logger = logger.child({ component: "wpp-files" });
  }

  /** Stores the files of a webhook; one that is too large is left out, and can be asked for where it came from. */
  async keep(companyNo: number, items: readonly WppItem[]): Promise<Files> {
    const files: Files = new Map();
    try {
      for (const { input } of items) {
        const file = await this.#keepOne(companyNo, input);
        if (input && file) files.set(input, file);
      }
    } catch (error) {
      await this.drop(files.values());
      throw error;
    }
    return files;
  }

  async #keepOne(companyNo: number, input: WppInput | null): Promise<StoredFile | undefined> {
    if (input?.kind !== "message" || !input.media || !("base64" in input.media.source)) {
      return undefined;
    }
    const mediaId = newMediaId();
    const { base64 } = input.media.source;
    const limits = { maxBytes: this.#maxBytes };
    try {
      const stored = await putBase64(this.#store, { companyNo, mediaId }, base64, limits);
      return { mediaId, ...stored };
    } catch (error) {
      if (!(error instanceof MediaTooLarge)) throw error;
      this.#logger.warn({ event: "wpp.file_too_large" }, "a file in a webhook is too large");
      return undefined;
    }
  }

  /** Nobody has these. What cannot be removed now goes with what is old. */
  async drop(files: Iterable<StoredFile>): Promise<void> {
    for (const { location } of files) {
      await this.#store.remove(location).catch((error: unknown) => {
        this.#logger.warn({ event: "wpp.file_left", err: error }, "a file was left behind");
      });
    }
  }
}

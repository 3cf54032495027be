/** The files of messages that are sent, from the media store. */
import { getMedia, type Database } from "@manyline/db";
import { MediaStoreError, type MediaStore } from "@manyline/media";
import { FileAwayError, FileGoneError, type FileSource } from "./providers/provider.ts";

export function createFileSource(db: Database, store: MediaStore): FileSource {
  return {
    open: async ({ fence }, { content }) => {
      const { id } = content?.media ?? {};
      const file = id === undefined ? undefined : await getMedia(db, fence.companyNo, id);
      const location = file?.location ?? undefined;
      if (location === undefined) throw new FileGoneError("the message has no file");
      try {
        const opened = await store.open(location);
        if (!opened) throw new FileGoneError("the file of the message is not there");
        return opened.stream;
      } catch (cause) {
        if (!(cause instanceof MediaStoreError)) throw cause;
        throw new FileAwayError("the media store is away", { cause });
      }
    },
  };
}

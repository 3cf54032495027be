/** The files of messages that are sent, from the media store. */
import { getMedia, type Database } from "@manyline/db";
import type { MediaStore } from "@manyline/media";
import { FileGoneError, type FileSource } from "./providers/provider.ts";

export function createFileSource(db: Database, store: MediaStore): FileSource {
  return {
    open: async ({ fence }, { content }) => {
      const { id } = content?.media ?? {};
      const file = id === undefined ? undefined : await getMedia(db, fence.companyNo, id);
      const location = file?.location ?? undefined;
      const opened = location === undefined ? undefined : await store.open(location);
      if (!opened) throw new FileGoneError("the file of the message is not there");
      return opened.stream;
    },
  };
}

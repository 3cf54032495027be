import type { Send } from "@manyline/db";
import type { NumberRef } from "../provider.ts";

/** Where the files of messages are. */
export type FileStore = {
  /** The bytes of the file that the message carries. Rejects with FileGoneError when there are none any more. */
  open(number: NumberRef, send: Send): Promise<Buffer>;
};

/** The file will not come back: to try again is of no use. */
export class FileGoneError extends Error {}

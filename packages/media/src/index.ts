/** Where the bytes of files are. The rows about them are in the database. */
export { putBase64 } from "./base64.ts";
export { openMediaStore } from "./open-store.ts";
export { type Content, locationOf, MediaStoreError, MediaTooLarge } from "./store.ts";
export type { MediaKey, MediaStore, OpenMedia, StoredMedia } from "./store.ts";

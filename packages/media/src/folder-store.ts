import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { spool } from "./spool.ts";
import { MediaStoreError, checkLocation, locationOf } from "./store.ts";
import type { Content, MediaKey, MediaStore, OpenMedia, StoredMedia } from "./store.ts";

/** Files that are being written. One that a crash has left is removed with what is old. */
const INCOMING = "incoming";

/** A folder that all processes share. It is made when it is first written to. */
export class FolderStore implements MediaStore {
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  async put(
    key: MediaKey,
    content: Content,
    { maxBytes }: { maxBytes: number },
  ): Promise<StoredMedia> {
    const location = locationOf(key);
    const path = join(this.#root, location);
    const incoming = join(this.#root, INCOMING, randomUUID());
    try {
      const { bytes, sha256 } = await spool(incoming, content, maxBytes);
      await mkdir(dirname(path), { recursive: true });
      await rename(incoming, path);
      await syncFolder(dirname(path));
      return { location, bytes, sha256: sha256.toString("base64") };
    } catch (error) {
      // Where there is no folder there is nothing to remove either.
      await rm(incoming, { force: true }).catch(() => undefined);
      throw isSystemError(error) ? new MediaStoreError("not stored", { cause: error }) : error;
    }
  }

  async open(location: string): Promise<OpenMedia | undefined> {
    try {
      const file = await open(join(this.#root, checkLocation(location)), "r");
      try {
        const { size } = await file.stat();
        return { bytes: size, stream: file.createReadStream() };
      } catch (error) {
        await file.close();
        throw error;
      }
    } catch (error) {
      // A folder that was not there at all is not mounted.
      if (hasCode(error, "ENOENT") && (await isThere(this.#root))) return undefined;
      throw isSystemError(error) ? new MediaStoreError("not opened", { cause: error }) : error;
    }
  }

  async remove(location: string): Promise<void> {
    await rm(join(this.#root, checkLocation(location)), { force: true });
  }

  async removeOlder(before: Date): Promise<number> {
    let count = 0;
    for await (const path of this.#files(this.#root)) {
      const found = await stat(path).catch(() => undefined);
      if (!found || found.mtime >= before) continue;
      await rm(path, { force: true });
      count += 1;
    }
    return count;
  }

  async *#files(folder: string): AsyncGenerator<string> {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* this.#files(path);
      else if (entry.isFile()) yield path;
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A new name is on the disk when its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

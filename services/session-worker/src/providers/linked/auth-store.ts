/**
 * Credentials and Signal keys in the database. What many logins read at the same moment is read together, and what
 * many numbers write is written together: each message is a write.
 */
import {
  FencedError,
  findJournal,
  findPollOptions,
  preloadAuth,
  readAuth,
  readKeys,
  writeAuths,
  type AuthWrite,
  type Database,
  type Fence,
  type Keyring,
  type KnownEntry,
  type PreloadedAuth,
} from "@manyline/db";
import { Grouped } from "../../numbers/grouped.ts";
import { createKeyCache, type KeyCache } from "./key-cache.ts";

/** All reject with FencedError when the fence is not of its epoch. */
export type AuthStore = {
  /** Begins a login, after which nothing that an earlier connection writes counts, and answers what it needs. */
  load(fence: Fence): Promise<PreloadedAuth>;
  /** The credentials, for a look beside the login. */
  creds(fence: Fence): Promise<Buffer | undefined>;
  read(fence: Fence, kind: string, keys: readonly string[]): Promise<Map<string, Buffer>>;
  /** Credentials, keys and what was decrypted with them: all or nothing. */
  write(fence: Fence, write: AuthWrite): Promise<void>;
  /** Of all its numbers. */
  readonly cache: KeyCache;
  /** What a poll offers; undefined: it is not known. */
  pollOptions(fence: Fence, providerMessageId: string): Promise<string[] | undefined>;
  /** What was decrypted before under this hash. */
  find(fence: Fence, hash: Buffer): Promise<KnownEntry | undefined>;
};

const MOST_AT_ONCE = 32;
/** Writes under way: one that waits for its number's fence must not hold up all the others. */
const WRITE_LANES = 2;

export function createAuthStore(db: Database, keyring: Keyring): AuthStore {
  const loads = new Grouped<Fence, PreloadedAuth>(async (fences) => {
    const found = await preloadAuth(db, keyring, fences);
    return fences.map((fence) => found.get(fence.numberNo) ?? new FencedError(fence));
  }, MOST_AT_ONCE);
  const writes = new Grouped<{ fence: Fence; write: AuthWrite }, true>(
    (some) => writeAuths(db, keyring, some),
    MOST_AT_ONCE,
    WRITE_LANES,
  );
  /** Writes under way, by number: a closed connection may still have one when the next one begins. */
  const writing = new Map<number, Promise<unknown>>();
  return {
    cache: createKeyCache(),
    load: async (fence) => {
      await writing.get(fence.numberNo);
      return loads.add(fence);
    },
    pollOptions: (fence, id) => findPollOptions(db, fence, id),
    find: async (fence, hash) =>
      (await findJournal(db, keyring, fence, [hash])).get(hash.toString("hex")),
    creds: async (fence) => (await readAuth(db, keyring, fence)).creds,
    read: (fence, kind, keys) => readKeys(db, keyring, fence, kind, keys),
    write: async (fence, write) => {
      const { numberNo } = fence;
      const written = writes.add({ fence, write });
      const all = Promise.allSettled([writing.get(numberNo), written]);
      writing.set(numberNo, all);
      void all.finally(() => {
        if (writing.get(numberNo) === all) writing.delete(numberNo);
      });
      await written;
    },
  };
}

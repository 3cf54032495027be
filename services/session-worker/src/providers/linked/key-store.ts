/**
 * The key store below one connection, and the journal of what was decrypted with its keys: both are written in
 * one statement. It answers the first reads of a login from what was loaded with the
 * credentials, and does not write what is stored already: Baileys saves its credentials and its own device
 * list at every login, mostly unchanged.
 */
import { createHash } from "node:crypto";
import type { JournalEntry, PreloadedAuth } from "@manyline/db";
import type { SignalDataSet, SignalDataTypeMap, SignalKeyStore } from "@whiskeysockets/baileys";
import type { AuthStore } from "./auth-store.ts";
import { packKeys, unpackKey, type KeyWrite } from "./credentials.ts";
import { JOURNAL_KIND, type DecryptJournal, type JournalValue } from "./signal-repository.ts";
import { missingHash, packPart } from "./stanzas.ts";

/** What is asked for with every message that comes or goes; that nothing is stored is an answer, too. */
const CACHED = new Set([
  "session",
  "sender-key",
  "identity-key",
  "device-list",
  "lid-mapping",
  "tctoken",
]);
const ABSENT = Buffer.alloc(0);

/**
 * Whether a key of this name can be stored. Strangers name some of them: a message may bring the sender key of
 * whatever group it likes. One that Postgres refused would cost the number its connection.
 */
export const isKeyName = (name: string): boolean => name.length <= 300 && !name.includes("\0");

/** No message at all, padded as the library expects it: for one that was told long ago. */
const NOTHING = Buffer.of(1);

export type KeyStore = {
  keys: SignalKeyStore;
  journal: Omit<DecryptJournal, "fail" | "passOver">;
  /** Stores the credentials as they are now. */
  saveCreds: () => Promise<void>;
  /** The login is over: what was loaded for it is let go. */
  forgetLoaded: () => void;
  /** The connection is over: whatever the library still wants to write belongs to the next one. */
  end(): void;
};

export type KeyStoreOwner = {
  /** The credentials as they are now. */
  packCreds(): Buffer;
  /**
   * A read or a write has failed, or was fenced; it rejects as well. The library takes either for a message that
   * cannot be decrypted, so the connection has to be ended before it hears of it.
   */
  onRefused(error: unknown): void;
  /** These are committed, just now or earlier by a write whose end nobody heard of. */
  onJournaled(entries: readonly JournalEntry[]): void;
};

export function openKeyStore(
  store: AuthStore,
  loadedAtFirst: PreloadedAuth,
  owner: KeyStoreOwner,
): KeyStore {
  const { fence } = loadedAtFirst;
  let loaded: PreloadedAuth | undefined = loadedAtFirst;
  let storedCreds = loadedAtFirst.creds && digest(loadedAtFirst.creds);
  /** Of the keys that were loaded: what is stored now; null: nothing. */
  const known = new Map<string, Buffer | null>();
  let isEnded = false;
  const { cache } = store;
  const connection = cache.newConnection();
  let writesUnderWay = 0;
  let writesBegun = 0;

  /** A store that has failed once says nothing more. */
  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      if (isEnded) throw new Error("the connection is over");
      return await work();
    } catch (error) {
      if (!isEnded) {
        isEnded = true;
        owner.onRefused(error);
      }
      throw error;
    }
  }

  /** undefined: only the database can tell. */
  function answer(kind: string, key: string): Buffer | null | undefined {
    const name = `${kind}/${key}`;
    const now = known.get(name);
    if (now !== undefined) return now;
    const cached = cache.get(`${connection}/${name}`);
    if (cached) return cached === ABSENT ? null : cached;
    const value = loaded?.answer(kind, key);
    // One of hundreds in its pack, and asked for once.
    if (value !== undefined && kind !== "pre-key") known.set(name, value);
    return value;
  }

  function remember(kind: string, key: string, value: Buffer | null): void {
    if (CACHED.has(kind)) cache.set(`${connection}/${kind}/${key}`, value ?? ABSENT);
  }

  async function read(kind: string, keys: readonly string[]): Promise<Map<string, Buffer>> {
    const begunBefore = writesBegun;
    const isAlone = writesUnderWay === 0;
    const stored = await store.read(fence, kind, keys);
    // What was found may be older than what is written meanwhile.
    if (isAlone && writesBegun === begunBefore) {
      for (const key of keys) remember(kind, key, stored.get(key) ?? null);
    }
    return stored;
  }

  function isNews({ kind, key, value }: KeyWrite): boolean {
    const before = answer(kind, key);
    if (before === undefined) return true;
    return value === null ? before !== null : before === null || !before.equals(value);
  }

  async function write(
    changes: readonly KeyWrite[],
    withCreds: boolean,
    journal: readonly JournalEntry[] = [],
  ): Promise<void> {
    const packed = withCreds ? owner.packCreds() : undefined;
    const newDigest = packed && digest(packed);
    const creds = newDigest === storedCreds ? undefined : packed;
    const news = changes.filter(isNews);
    if (news.length === 0 && creds === undefined && journal.length === 0) return;
    if (news.some(({ kind }) => kind === "pre-key")) loaded = undefined;
    writesBegun += 1;
    writesUnderWay += 1;
    try {
      await store.write(fence, { ...(creds === undefined ? {} : { creds }), keys: news, journal });
    } finally {
      writesUnderWay -= 1;
    }
    if (creds !== undefined) storedCreds = newDigest;
    for (const { kind, key, value } of news) {
      if (known.has(`${kind}/${key}`)) known.set(`${kind}/${key}`, value);
      else remember(kind, key, value);
    }
    if (journal.length > 0) owner.onJournaled(journal);
  }

  return {
    saveCreds: () => guarded(() => write([], true)),
    journal: {
      isOver: () => isEnded,
      find: (hash) =>
        guarded(async () => {
          const entry = await store.find(fence, hash);
          // Not told yet: maybe its write was given up here and carried out later. Telling twice changes nothing.
          if (entry?.content) owner.onJournaled([{ hash, ...entry.content }]);
          return entry && (entry.content?.plaintext ?? NOTHING);
        }),
      noteMissing: (hash, part) =>
        guarded(() => {
          const plaintext = Buffer.alloc(0);
          return write([], false, [{ hash: missingHash(hash), attrs: packPart(part), plaintext }]);
        }),
    },
    forgetLoaded: () => {
      loaded = undefined;
    },
    end: () => {
      isEnded = true;
      loaded = undefined;
      known.clear();
      cache.endConnection(connection);
    },
    keys: {
      get: async <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
        const found: { [id: string]: SignalDataTypeMap[Kind] } = {};
        const missing: string[] = [];
        for (const id of ids) {
          if (!isKeyName(id)) continue;
          const value = answer(kind, id);
          if (value === undefined) missing.push(id);
          else if (value !== null) found[id] = unpackKey(kind, value);
        }
        if (missing.length === 0) return found;
        const stored = await guarded(() => read(kind, missing));
        for (const [id, bytes] of stored) found[id] = unpackKey(kind, bytes);
        return found;
      },
      set: async (data) => {
        const { [JOURNAL_KIND]: decrypted, ...keys } = data as SignalDataSet & Decrypted;
        // The counter of pre-key ids and the pre-keys themselves must not part: ids used twice cannot be opened.
        const makesPreKeys = Object.values(keys["pre-key"] ?? {}).some((value) => value !== null);
        const journal = Object.values(decrypted ?? {}).map(({ hash, part, plaintext }) => ({
          hash,
          attrs: packPart(part),
          plaintext,
        }));
        await guarded(() =>
          write(
            packKeys(keys).filter(({ key }) => isKeyName(key)),
            makesPreKeys,
            journal,
          ),
        );
      },
    },
  };
}

/** What the repository adds to the keys of the library. */
type Decrypted = { [JOURNAL_KIND]?: Record<string, JournalValue> };

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("base64");
}

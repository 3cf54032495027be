/**
 * The key store below one connection. It answers the first reads of a login from what was loaded with the
 * credentials, and does not write what is stored already: Baileys saves its credentials and its own device
 * list at every login, mostly unchanged.
 */
import { createHash } from "node:crypto";
import type { PreloadedAuth } from "@manyline/db";
import type { SignalDataTypeMap, SignalKeyStore } from "@whiskeysockets/baileys";
import type { AuthStore } from "./auth-store.ts";
import { packKeys, unpackKey, type KeyWrite } from "./credentials.ts";

export type KeyStore = {
  keys: SignalKeyStore;
  /** Stores the credentials as they are now. */
  saveCreds: () => Promise<void>;
  /** The login is over: what was loaded for it is let go. */
  forgetLoaded: () => void;
  /** The connection is over: whatever the library still wants to write belongs to the next one. */
  end(): void;
};

/** `onRefused` hears of every key that could not be written; the write rejects as well. */
export function openKeyStore(
  store: AuthStore,
  loadedAtFirst: PreloadedAuth,
  packCreds: () => Buffer,
  onRefused: (error: unknown) => void,
): KeyStore {
  const { fence } = loadedAtFirst;
  let loaded: PreloadedAuth | undefined = loadedAtFirst;
  let storedCreds = loadedAtFirst.creds && digest(loadedAtFirst.creds);
  /** Of the keys that were loaded: what is stored now; null: nothing. */
  const known = new Map<string, Buffer | null>();
  let isEnded = false;

  /** undefined: only the database can tell. */
  function answer(kind: string, key: string): Buffer | null | undefined {
    const name = `${kind}/${key}`;
    const now = known.get(name);
    if (now !== undefined) return now;
    const value = loaded?.answer(kind, key);
    // One of hundreds in its pack, and asked for once.
    if (value !== undefined && kind !== "pre-key") known.set(name, value);
    return value;
  }

  function isNews({ kind, key, value }: KeyWrite): boolean {
    const before = answer(kind, key);
    if (before === undefined) return true;
    return value === null ? before !== null : before === null || !before.equals(value);
  }

  async function write(changes: readonly KeyWrite[], withCreds: boolean): Promise<void> {
    if (isEnded) throw new Error("the connection is over");
    const packed = withCreds ? packCreds() : undefined;
    const newDigest = packed && digest(packed);
    const creds = newDigest === storedCreds ? undefined : packed;
    const news = changes.filter(isNews);
    if (news.length === 0 && creds === undefined) return;
    if (news.some(({ kind }) => kind === "pre-key")) loaded = undefined;
    await store.write(fence, { ...(creds === undefined ? {} : { creds }), keys: news });
    if (creds !== undefined) storedCreds = newDigest;
    for (const { kind, key, value } of news) {
      if (known.has(`${kind}/${key}`)) known.set(`${kind}/${key}`, value);
    }
  }

  return {
    saveCreds: () => write([], true),
    forgetLoaded: () => {
      loaded = undefined;
    },
    end: () => {
      isEnded = true;
      loaded = undefined;
      known.clear();
    },
    keys: {
      get: async <Kind extends keyof SignalDataTypeMap>(kind: Kind, ids: string[]) => {
        const found: { [id: string]: SignalDataTypeMap[Kind] } = {};
        const missing: string[] = [];
        for (const id of ids) {
          const value = answer(kind, id);
          if (value === undefined) missing.push(id);
          else if (value !== null) found[id] = unpackKey(kind, value);
        }
        if (missing.length === 0) return found;
        for (const [id, bytes] of await store.read(fence, kind, missing)) {
          found[id] = unpackKey(kind, bytes);
        }
        return found;
      },
      set: async (data) => {
        // The counter of pre-key ids and the pre-keys themselves must not part: ids used twice cannot be opened.
        const makesPreKeys = Object.values(data["pre-key"] ?? {}).some((value) => value !== null);
        try {
          await write(packKeys(data), makesPreKeys);
        } catch (error) {
          onRefused(error);
          throw error;
        }
      },
    },
  };
}

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("base64");
}

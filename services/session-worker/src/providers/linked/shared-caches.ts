/**
 * The caches Baileys wants per socket, held once per process: each of its own carries an interval timer
 * and some 6 KB, which 2,500 sockets would pay for. Keys are prefixed by number and device, so nothing is shared but
 * the memory.
 */
import { NodeCache } from "@cacheable/node-cache";
import { DEFAULT_CACHE_TTLS, type CacheStore, type SocketConfig } from "@whiskeysockets/baileys";

import { Lru } from "./lru.ts";

/** At about 200 bytes an entry this is at most 20 MB a cache. */
const MAX_ENTRIES = 100_000;

type Cached = Pick<
  SocketConfig,
  "msgRetryCounterCache" | "callOfferCache" | "userDevicesCache" | "placeholderResendCache"
>;

/** Which phone and which LID are one person, as the library keeps it per connection. */
export type MappingCache = {
  get(key: string): string | undefined;
  set(key: string, value: string): void;
  /** The connection is over. */
  clear(): void;
};

export type SharedCaches = {
  /**
   * `identity`: the device's public key. A number that is linked anew is another device: what the former one knew of the
   * account's devices names one that is gone, and nothing could be sent until that had expired.
   */
  forDevice(numberId: string, identity: Uint8Array): Cached;
  /** For one connection. */
  mappings(): MappingCache;
  /** Forgets what connections that are over have left. Returns how many entries. */
  sweep(): number;
  /** Entries by cache. */
  sizes(): Record<string, number>;
  close(): void;
};

export function createSharedCaches(): SharedCaches {
  const make = (ttlSeconds: number) =>
    new NodeCache({ stdTTL: ttlSeconds, useClones: false, maxKeys: MAX_ENTRIES });
  const retries = make(DEFAULT_CACHE_TTLS.MSG_RETRY);
  const calls = make(DEFAULT_CACHE_TTLS.CALL_OFFER);
  const devices = make(DEFAULT_CACHE_TTLS.USER_DEVICES);
  const placeholders = make(DEFAULT_CACHE_TTLS.MSG_RETRY);
  /** The library's own has no bound, and a timer of three days for each entry. */
  const mappings = new Lru<string>(MAX_ENTRIES);
  let connections = 0;
  const over = new Set<string>();
  return {
    mappings: () => {
      const connection = String((connections += 1));
      return {
        get: (key) => mappings.get(`${connection}/${key}`),
        set: (key, value) => mappings.set(`${connection}/${key}`, value),
        clear: () => over.add(connection),
      };
    },
    sweep: () => {
      const dropped = mappings.sweep((name) => !over.has(name.slice(0, name.indexOf("/"))));
      over.clear();
      return dropped;
    },
    sizes: () => ({
      retries: retries.getStats().keys,
      calls: calls.getStats().keys,
      devices: devices.getStats().keys,
      placeholders: placeholders.getStats().keys,
      mappings: mappings.size,
    }),
    forDevice: (numberId, identity) => {
      const device = `${numberId}/${Buffer.from(identity).toString("base64url").slice(0, 8)}`;
      return {
        msgRetryCounterCache: prefixed(retries, device),
        callOfferCache: prefixed(calls, device),
        userDevicesCache: prefixed(devices, device),
        placeholderResendCache: prefixed(placeholders, device),
      };
    },
    close: () => {
      for (const cache of [retries, calls, devices, placeholders]) cache.close();
    },
  };
}

function prefixed(cache: NodeCache<unknown>, device: string): CacheStore {
  // The library names the type it expects back; what is under a key is what it put there.
  const get = ((key: string) => cache.get(`${device}/${key}`)) as CacheStore["get"];
  return {
    get,
    set: (key, value) => {
      try {
        return cache.set(`${device}/${key}`, value);
      } catch {
        // Full: forgetting is what a cache may do.
        return false;
      }
    },
    del: (key) => cache.del(`${device}/${key}`),
    // One socket must not empty the others' entries; its own expire.
    flushAll: () => undefined,
  };
}

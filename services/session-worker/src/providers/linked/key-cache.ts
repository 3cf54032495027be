/**
 * The keys that were used last, of all numbers of this process, as they are stored: each message needs some, and
 * only the number's owner changes them. Bounded by bytes; what was used longest ago goes first.
 */
export type KeyCache = {
  get(name: string): Buffer | undefined;
  set(name: string, value: Buffer): void;
  /** A name no other connection uses. What a connection leaves behind is never found again. */
  newConnection(): string;
  /** What the connection left behind goes with the next sweep. */
  endConnection(name: string): void;
  /** Forgets what connections that are over have left. Returns how many entries. */
  sweep(): number;
  readonly size: number;
  readonly bytes: number;
};

/** About 20,000 contacts' devices. */
const MAX_BYTES = 32 * 1024 * 1024;
/** What an entry takes besides its value, roughly. */
const ENTRY_BYTES = 200;

/** Small buffers are cut from a slab of Node's: one that is kept would keep all of it, many times its own size. */
function ownMemory(value: Buffer): Buffer {
  if (value.length === 0 || value.buffer.byteLength === value.length) return value;
  const own = Buffer.allocUnsafeSlow(value.length);
  value.copy(own);
  return own;
}

export function createKeyCache(maxBytes = MAX_BYTES): KeyCache {
  /** Oldest use first. */
  const entries = new Map<string, Buffer>();
  let bytes = 0;
  let connections = 0;
  const over = new Set<string>();
  const remove = (name: string): void => {
    const value = entries.get(name);
    if (value && entries.delete(name)) bytes -= value.length + ENTRY_BYTES;
  };
  return {
    get: (name) => {
      const value = entries.get(name);
      if (value) {
        entries.delete(name);
        entries.set(name, value);
      }
      return value;
    },
    set: (name, value) => {
      remove(name);
      entries.set(name, ownMemory(value));
      bytes += value.length + ENTRY_BYTES;
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) break;
        remove(oldest);
      }
    },
    newConnection: () => String((connections += 1)),
    endConnection: (name) => {
      over.add(name);
    },
    sweep: () => {
      const before = entries.size;
      for (const name of entries.keys()) {
        if (over.has(name.slice(0, name.indexOf("/")))) remove(name);
      }
      over.clear();
      return before - entries.size;
    },
    get size() {
      return entries.size;
    },
    get bytes() {
      return bytes;
    },
  };
}

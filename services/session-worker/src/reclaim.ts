/**
 * Memory, looked after now and then: what connections that are over left in the shared caches is dropped, and how
 * full these are is told. The heap itself is V8's business: a forced collection would stop all numbers for as long
 * as it takes, and nothing was found that it would give back.
 */
import { createMetrics, type Clock } from "@manyline/runtime";
import type { KeyCache } from "./providers/linked/key-cache.ts";
import type { SharedCaches } from "./providers/linked/shared-caches.ts";

const EVERY_MS = 10 * 60_000;

/** Returns what ends it. */
export function startReclaim(clock: Clock, keys: KeyCache, caches: SharedCaches): () => void {
  const metrics = createMetrics("session-worker");
  const reclaimed = metrics.counter("manyline_worker_reclaimed_entries", {
    description: "entries of shared caches that were dropped because their connection is over",
  });
  const ends = [
    metrics.gauge("manyline_worker_cache_entries", { description: "by shared cache" }, () =>
      Object.entries({ keys: keys.size, ...caches.sizes() }).map(([cache, value]) => ({
        value,
        attributes: { cache },
      })),
    ),
    metrics.gauge(
      "manyline_worker_key_cache",
      { description: "keys in use, kept in memory", unit: "bytes" },
      () => keys.bytes,
    ),
  ];
  let cancel = (): void => undefined;
  const again = (): void => {
    cancel = clock.setTimer(EVERY_MS, () => {
      reclaimed.add(keys.sweep(), { cache: "keys" });
      reclaimed.add(caches.sweep(), { cache: "mappings" });
      again();
    });
  };
  again();
  return () => {
    cancel();
    for (const end of ends) end();
  };
}

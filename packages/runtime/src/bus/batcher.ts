/**
 * Gathers items for a handler that takes several: one batch at a time, in order. While a batch runs
 * the next one gathers, so batches grow by themselves under load.
 */
export function createBatcher<T>(options: {
  readonly maxItems: number;
  readonly maxWaitMs: number;
  /** Must not reject. */
  readonly handle: (items: readonly T[]) => Promise<void>;
}): { add(item: T): void; clear(): T[] } {
  const waiting: T[] = [];
  let isRunning = false;
  let timer: NodeJS.Timeout | undefined;

  function consider(): void {
    if (isRunning || waiting.length === 0) return;
    if (waiting.length >= options.maxItems) void flush();
    else timer ??= setTimeout(() => void flush(), options.maxWaitMs);
  }

  async function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (isRunning || waiting.length === 0) return;
    isRunning = true;
    await options.handle(waiting.splice(0, options.maxItems));
    isRunning = false;
    // Whatever gathered meanwhile has waited long enough.
    if (waiting.length > 0) void flush();
  }

  return {
    add: (item) => {
      waiting.push(item);
      consider();
    },
    /** Takes back what no handler has got yet. */
    clear: () => {
      clearTimeout(timer);
      timer = undefined;
      return waiting.splice(0);
    },
  };
}

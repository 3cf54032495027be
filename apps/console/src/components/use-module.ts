import { useEffect, useState } from "preact/hooks";

const RETRY_MS = 2_000;

/**
 * A part of the page that is fetched apart, so that the first screen comes sooner. @param load always the same
 * function; fetching is tried until it works. @returns undefined until it is there
 */
export function useModule<Module extends object>(load: () => Promise<Module>): Module | undefined {
  const [module, setModule] = useState<Module>();
  useEffect(() => {
    let isWanted = true;
    let timer: ReturnType<typeof setTimeout> | undefined;
    async function fetchIt(): Promise<void> {
      try {
        const loaded = await load();
        if (isWanted) setModule(loaded);
      } catch {
        timer = setTimeout(() => void fetchIt(), RETRY_MS);
      }
    }
    void fetchIt();
    return () => {
      isWanted = false;
      clearTimeout(timer);
    };
  }, [load]);
  return module;
}

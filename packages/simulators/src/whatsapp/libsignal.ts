const NOISE =
  /^(Closing|Opening|Removing old closed|Migrating) session|^Session (already|error)|^Failed to decrypt message with|^Decrypted message with closed|^Closing (open|stale)/;

/**
 * libsignal prints whole sessions, private keys included, through `console` in normal operation. This
 * drops those lines and lets all others pass. Call it once, in a process of your own: it changes the
 * global `console`.
 * @returns a function that restores the console
 */
export function muteLibsignal(): () => void {
  const levels = ["info", "warn", "error"] as const;
  const originals = levels.map((level) => {
    const print = console[level];
    console[level] = (...args: unknown[]) => {
      if (!NOISE.test(String(args[0]))) print.apply(console, args);
    };
    return { level, print };
  });
  return () => {
    for (const { level, print } of originals) console[level] = print;
  };
}

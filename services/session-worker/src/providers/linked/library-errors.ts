/** Where the code of the library is, wherever it is installed. */
const LIBRARY = /[\\/]node_modules[\\/](?:@whiskeysockets[\\/]baileys|libsignal)[\\/]/;
/** Whoever is called by both: Node itself and other packages. */
const NEITHER = /[\\/]node_modules[\\/]|\(?node:/;

/**
 * Whether an error that nobody caught was raised in the library, over the connection of one number: no reason to
 * end the connections of all the others. What it leaves undone there is found by the watches of that connection.
 */
export function isOfLibrary(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  for (const line of (error.stack ?? "").split("\n").slice(1)) {
    if (!/^\s+at /.test(line)) continue;
    if (LIBRARY.test(line)) return true;
    if (!NEITHER.test(line)) return false;
  }
  return false;
}

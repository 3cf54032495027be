/** Lines for the person at the keyboard, each with the seconds since the start. */
export type Progress = (sentence: string) => void;

export function createProgress(write: (line: string) => void): Progress {
  const startedAt = performance.now();
  return (sentence) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5);
    write(`${seconds} s  ${sentence}\n`);
  };
}

/** The last lines of a process's log that say something, for a message on the screen. */
export function excerpt(log: string, lines = 5): string {
  const kept = log
    .split("\n")
    .map((line) => errorTextOf(line).trimEnd())
    .filter((line) => line.trim() !== "")
    .slice(-lines);
  return kept.map((line) => `         | ${line.slice(0, 300)}`).join("\n");
}

/** Services log JSON: its message and error are what a person wants to read. */
function errorTextOf(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null) return line;
    const fields = new Map<string, unknown>(Object.entries(entry));
    const error = fields.get("err");
    const message: unknown =
      typeof error === "object" && error !== null && "message" in error ? error.message : undefined;
    const texts = [fields.get("msg"), message].filter((text) => typeof text === "string");
    return texts.length === 0 ? line : texts.join(": ");
  } catch {
    return line;
  }
}

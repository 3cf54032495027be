/** The frame of a bench program. */
import { parseArgs } from "node:util";
import { say } from "./figures.ts";
import { TooSmallError } from "./machine.ts";

/** Runs the bench; a limit of the machine that is too small is one sentence and exit code 2, not a crash. */
export async function main(bench: () => Promise<void>): Promise<void> {
  try {
    await bench();
  } catch (error) {
    if (!(error instanceof TooSmallError)) throw error;
    say(error.message);
    process.exitCode = 2;
  }
}

/** `--name=value` for each name of `defaults`; numbers where the default is one. */
export function readOptions<Defaults extends Record<string, number | string>>(
  defaults: Defaults,
): { [Name in keyof Defaults]: Defaults[Name] extends number ? number : string } {
  const options = Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => [
      name,
      { type: "string" as const, default: String(value) },
    ]),
  );
  const { values } = parseArgs({ options });
  const read = Object.entries(defaults).map(([name, standard]) => {
    const given = values[name];
    if (typeof standard === "string") return [name, given];
    const value = Number(given);
    if (!Number.isFinite(value) || value <= 0)
      throw new Error(`--${name} must be a number above 0`);
    return [name, value];
  });
  return Object.fromEntries(read) as ReturnType<typeof readOptions<Defaults>>;
}

/** What an errand of `npm run manyline` is, and what its words are read with. */
import { parseArgs } from "node:util";
import { Refusal } from "../refusal.ts";
import type { Rest } from "../rest.ts";

/** The screen, for commands that show something before they end. */
export type Screen = {
  /** A person sees it, and a line can be drawn again. */
  isTerminal: boolean;
  columns: number;
  write: (text: string) => void;
  /** The lines are printed all the same, but the process ends with 1. */
  fail: () => void;
  /** Runs `work` so that Ctrl-C aborts the signal instead of ending the process. */
  interruptible: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>;
};

export type Command = {
  usage: string;
  help: string;
  /** Returns the lines to print. */
  run: (rest: Rest, args: string[], screen: Screen) => Promise<string[]>;
};

/** Commands on one subject. */
export type CommandGroup = { title: string; commands: Record<string, Command> };

type Options = Record<string, { type: "string" } | { type: "boolean" }>;
type Words = {
  positionals: string[];
  /** The value of a `--name value`. */
  text: (name: string) => string | undefined;
  /** Whether `--name` was given. */
  has: (name: string) => boolean;
};

/**
 * Reads the words after a command. `least` to `most` of them are not options. Throws a Refusal with the
 * command's usage.
 */
export function parseWords(
  usage: string,
  args: string[],
  expected: { least: number; most?: number; options?: Options },
): Words {
  const { least, most = least, options = {} } = expected;
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (cause) {
    const reason = cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause);
    throw new Refusal(`${reason}.\n${usageText(usage)}`, { cause });
  }
  const { positionals, values } = parsed;
  const isWrong = positionals.length < least || positionals.length > most;
  if (isWrong || positionals.includes("")) throw new Refusal(usageText(usage));
  return {
    positionals,
    text: (name) => {
      const value = values[name];
      return typeof value === "string" ? value : undefined;
    },
    has: (name) => values[name] === true,
  };
}

export function usageText(usage: string): string {
  return `Usage: npm run manyline -- ${usage}`;
}

/** A whole number from `least` to `most`. Throws a Refusal that names the word. */
export function wholeNumber(
  name: string,
  text: string,
  range: { least: number; most: number },
): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= range.least && value <= range.most) return value;
  throw new Refusal(
    `${name} must be a whole number from ${range.least} to ${range.most}, not "${text}".`,
  );
}

/** For programs: the answer as it is. */
export function jsonLines(value: unknown): string[] {
  return [JSON.stringify(value, null, 2)];
}

/** A part of a path. */
export function part(text: string): string {
  return encodeURIComponent(text);
}

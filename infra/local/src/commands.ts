import { parseArgs } from "node:util";
import { makePairingLink } from "./demo.ts";
import { Refusal } from "./refusal.ts";
import type { Rest } from "./rest.ts";

export type Command = {
  usage: string;
  help: string;
  /** Returns the lines to print. */
  run: (rest: Rest, args: string[]) => Promise<string[]>;
};

/** Commands of `npm run manyline`. A new one is a new entry. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map([
  [
    "pairing-link",
    {
      usage: "pairing-link <company> [--number num_…]",
      help: "makes a fresh link that pairs the company's primary number, or the given one",
      run: async (rest, args) => {
        const { values, positionals } = parse(args, { number: { type: "string" } });
        const [companyId, ...more] = positionals;
        if (companyId === undefined || more.length > 0) throw usage("pairing-link");
        return [await makePairingLink(rest, companyId, values["number"])];
      },
    },
  ],
  [
    "companies",
    {
      usage: "companies",
      help: "lists the companies",
      run: async (rest, args) => {
        parse(args, {});
        const rows = await listOf(rest, "/api/whatsapp/companies", "companies");
        return rows.map((row) => `${textOf(row["id"]).padEnd(16)} ${textOf(row["name"])}`);
      },
    },
  ],
  [
    "numbers",
    {
      usage: "numbers <company>",
      help: "lists a company's numbers with their status",
      run: async (rest, args) => {
        const [companyId, ...more] = parse(args, {}).positionals;
        if (companyId === undefined || more.length > 0) throw usage("numbers");
        const path = `/api/whatsapp/companies/${encodeURIComponent(companyId)}/numbers`;
        const rows = await listOf(rest, path, "numbers");
        return rows.map((row) =>
          ["id", "provider", "phone", "status"].map((name) => textOf(row[name])).join("  "),
        );
      },
    },
  ],
]);

/** All commands, one line each. */
export function commandHelp(): string {
  const rows = [...COMMANDS.values()].map(({ usage: how, help }) => `  ${how.padEnd(42)} ${help}`);
  return ["npm run manyline -- <command>", "", ...rows].join("\n");
}

function usage(name: string): Refusal {
  return new Refusal(`Usage: npm run manyline -- ${COMMANDS.get(name)?.usage ?? name}`);
}

function parse(
  args: string[],
  options: Record<string, { type: "string" }>,
): { values: Record<string, string | undefined>; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    return { values, positionals };
  } catch (cause) {
    throw new Refusal(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" && value !== "" ? value : "-";
}

/** A list answer, bare or under its name. */
async function listOf(rest: Rest, path: string, name: string): Promise<Record<string, unknown>[]> {
  const answer = await rest("GET", path);
  const isObject = typeof answer === "object" && answer !== null;
  const list: unknown =
    isObject && !Array.isArray(answer)
      ? Object.entries(answer).find(([key]) => key === name)?.[1]
      : answer;
  if (!Array.isArray(list)) throw new Error(`the answer of ${path} has no list`);
  return list.filter(
    (row): row is Record<string, unknown> => typeof row === "object" && row !== null,
  );
}

/** Numbers of WPP servers whose rows cannot work. */
import type { Company, NumberAnswer } from "@manyline/contracts";
import { Refusal } from "../refusal.ts";
import { type Rest, RestError } from "../rest.ts";
import { listFrom, pagesFrom } from "./answers.ts";
import type { CommandGroup } from "./command.ts";
import { jsonLines, parseWords, part, usageText } from "./command.ts";
import { counted, table } from "./table.ts";

const REPAIR = "wpp repair [<company>] [--yes] [--json]";
/** Rows of an earlier time have this for a session; such a session has never existed. */
const STALE = "client_system";

type Stale = { companyId: string; numberId: string; isPrimary: boolean; outcome: string };

export const WPP_COMMANDS: CommandGroup = {
  title: "Numbers of WPP servers",
  commands: {
    wpp: {
      usage: REPAIR,
      help: "finds numbers whose session is client_system, which can never work; with --yes each gets a new one",
      run: async (rest, args, screen) => {
        const options = { yes: { type: "boolean" }, json: { type: "boolean" } } as const;
        const words = parseWords(REPAIR, args, { least: 1, most: 2, options });
        const [verb, company] = words.positionals;
        if (verb !== "repair") throw new Refusal(usageText(REPAIR));
        const found = await findStale(rest, company);
        if (words.has("yes")) {
          for (const one of found) one.outcome = await repair(rest, one);
          if (found.some(({ outcome }) => outcome.startsWith("failed"))) screen.fail();
        }
        if (words.has("json")) return jsonLines(found);
        const lines = table(
          found,
          [
            { title: "COMPANY", cell: ({ companyId }) => companyId },
            { title: "NUMBER", cell: ({ numberId }) => numberId },
            { title: "PRIMARY", cell: ({ isPrimary }) => (isPrimary ? "yes" : "no") },
            { title: "REPAIR", cell: ({ outcome }) => outcome },
          ],
          "There is nothing to repair.",
        );
        if (found.length === 0 || words.has("yes")) return lines;
        const what = counted(found.length, "number");
        return [...lines, "", `Nothing was changed. To give ${what} a new session: add --yes`];
      },
    },
  },
};

async function findStale(rest: Rest, company: string | undefined): Promise<Stale[]> {
  const companies =
    company === undefined
      ? (await pagesFrom<Company>(rest, "/api/whatsapp/companies", "companies", "after")).map(
          ({ id }) => id,
        )
      : [company];
  const found: Stale[] = [];
  for (const companyId of companies) {
    const path = `/api/whatsapp/companies/${part(companyId)}/numbers`;
    const numbers = await listFrom<NumberAnswer>(rest, path, "numbers");
    for (const { id, isPrimary, wpp } of numbers) {
      if (wpp?.session !== STALE) continue;
      found.push({ companyId, numberId: id, isPrimary, outcome: "not yet" });
    }
  }
  return found;
}

/** One that fails leaves the others alone. */
async function repair(rest: Rest, { companyId, numberId }: Stale): Promise<string> {
  try {
    const path = `/api/whatsapp/sessions/${part(companyId)}/wpp?number=${part(numberId)}`;
    const answer = Object(await rest("POST", path, { force_recreate: true })) as {
      status?: string;
      session?: string | null;
      error?: string;
    };
    const { status = "unknown", session, error } = answer;
    if (status === "error") return `failed: ${error ?? "the platform did not start it"}`;
    return session ? `session ${session}, ${status}` : `under way, ${status}`;
  } catch (error) {
    if (!(error instanceof RestError)) throw error;
    return `failed: ${error.message}`;
  }
}

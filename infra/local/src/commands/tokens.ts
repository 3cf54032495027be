import type { CommandGroup } from "./command.ts";
import { Refusal } from "../refusal.ts";
import { textField } from "../rest.ts";
import { listFrom } from "./answers.ts";
import { jsonLines, parseWords, part, usageText } from "./command.ts";
import { ago, table } from "./table.ts";

const TOKENS = "tokens <company> [--add <name> [--scopes read,send]] [--revoke <id>] [--json]";

type Token = {
  id: string;
  name: string;
  kind: string;
  scopes: string[];
  expiresAt: string | null;
  createdAt: string;
};

export const TOKEN_COMMANDS: CommandGroup = {
  title: "Tokens",
  commands: {
    tokens: {
      usage: TOKENS,
      help: "lists a company's tokens that work; makes one (shown once), or ends one",
      run: async (rest, args) => {
        const options = {
          add: { type: "string" },
          scopes: { type: "string" },
          revoke: { type: "string" },
          json: { type: "boolean" },
        } as const;
        const words = parseWords(TOKENS, args, { least: 1, options });
        const [companyId = ""] = words.positionals;
        const path = `/api/whatsapp/companies/${part(companyId)}/tokens`;
        const [name, revoke, scopes] = ["add", "revoke", "scopes"].map((one) => words.text(one));
        const isMixed = name !== undefined && revoke !== undefined;
        if (isMixed || (scopes !== undefined && name === undefined)) {
          throw new Refusal(usageText(TOKENS));
        }
        if (name !== undefined) {
          const body = scopes === undefined ? { name } : { name, scopes: scopes.split(",") };
          const made = await rest("POST", path, body);
          if (words.has("json")) return jsonLines(made);
          return [textField(made, "token")];
        }
        if (revoke !== undefined) {
          const answer = await rest("DELETE", `${path}/${part(revoke)}`);
          return words.has("json") ? jsonLines(answer) : [`${revoke} works no more.`];
        }
        const tokens = await listFrom<Token>(rest, path, "tokens");
        if (words.has("json")) return jsonLines(tokens);
        const now = new Date();
        return table(
          tokens,
          [
            { title: "TOKEN", cell: ({ id }) => id },
            { title: "NAME", cell: ({ name: own }) => own },
            { title: "KIND", cell: ({ kind }) => kind },
            { title: "SCOPES", cell: ({ scopes: all }) => all.join(",") },
            { title: "MADE", isRight: true, cell: ({ createdAt }) => ago(createdAt, now) },
            { title: "UNTIL", cell: ({ expiresAt }) => expiresAt },
          ],
          "This company has no tokens.",
        );
      },
    },
  },
};

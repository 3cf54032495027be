import type { Command as CommandRow } from "@manyline/contracts";
import { fieldOf, pagesFrom, sentenceOf } from "./answers.ts";
import type { CommandGroup } from "./command.ts";
import { parseWords, part } from "./command.ts";
import { ago, table } from "./table.ts";

const DEAD = "dead [company]";
const REPLAY = "replay <command>";
const PATH = "/api/whatsapp/commands";
const LISTED = 50;

export const DEAD_COMMANDS: CommandGroup = {
  title: "Dead commands",
  commands: {
    dead: {
      usage: DEAD,
      help: "lists the last commands that were given up, with the reason",
      run: async (rest, args) => {
        const [company] = parseWords(DEAD, args, { least: 0, most: 1 }).positionals;
        const path = `${PATH}?state=dead${company === undefined ? "" : `&company=${part(company)}`}`;
        const rows = await pagesFrom<CommandRow>(rest, path, "commands", "before", LISTED);
        const now = new Date();
        return table(
          rows,
          [
            { title: "COMMAND", cell: ({ id }) => id },
            { title: "COMPANY", cell: ({ companyId }) => companyId },
            { title: "NUMBER", cell: ({ numberId }) => numberId },
            { title: "VERB", cell: ({ verb }) => verb },
            { title: "REASON", cell: ({ reason }) => sentenceOf(reason) },
            { title: "CLAIMS", isRight: true, cell: ({ attempts }) => attempts },
            { title: "AGO", isRight: true, cell: ({ createdAt }) => ago(createdAt, now) },
          ],
          "No dead commands.",
        );
      },
    },
    replay: {
      usage: REPLAY,
      help: "gives a dead command to its owner again",
      run: async (rest, args) => {
        const [commandId = ""] = parseWords(REPLAY, args, { least: 1 }).positionals;
        const answer = await rest("POST", `${PATH}/${part(commandId)}/replay`, {});
        const { id, verb } = fieldOf(answer, "command") as CommandRow;
        return [`${verb} is on its way again as ${id}.`];
      },
    },
  },
};

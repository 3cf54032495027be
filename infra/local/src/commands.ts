/** Commands of `npm run manyline`, by theme. A new one is a new entry in its theme's file. */
import type { Command, CommandGroup } from "./commands/command.ts";
import { DEAD_COMMANDS } from "./commands/dead-commands.ts";
import { EVENT_COMMANDS } from "./commands/events.ts";
import { JOB_COMMANDS } from "./commands/jobs.ts";
import { SHARD_COMMANDS } from "./commands/shards.ts";
import { TENANT_COMMANDS } from "./commands/tenants.ts";
import { TOKEN_COMMANDS } from "./commands/tokens.ts";
import { WORKER_COMMANDS } from "./commands/workers.ts";
import { WPP_COMMANDS } from "./commands/wpp.ts";

export type { Command, Screen } from "./commands/command.ts";

const GROUPS: readonly CommandGroup[] = [
  TENANT_COMMANDS,
  TOKEN_COMMANDS,
  EVENT_COMMANDS,
  WPP_COMMANDS,
  WORKER_COMMANDS,
  SHARD_COMMANDS,
  JOB_COMMANDS,
  DEAD_COMMANDS,
];

export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  GROUPS.flatMap(({ commands }) => Object.entries(commands)),
);

/** All commands, one line each under their theme. */
export function commandHelp(): string {
  const width = Math.max(...[...COMMANDS.values()].map(({ usage }) => usage.length));
  const lineOf = ({ usage, help }: Command): string => `  ${usage.padEnd(width)}  ${help}`;
  const themes = GROUPS.map(({ title, commands }) =>
    ["", title].concat(Object.values(commands).map(lineOf)),
  );
  return [
    "npm run manyline -- <command>",
    ...themes.flat(),
    "",
    "For another Manyline than this clone's npm start: MANYLINE_URL and ADMIN_TOKEN in the environment.",
  ].join("\n");
}

/**
 * `npm run manyline -- <command>`: errands for a running `npm start`, or for the Manyline that MANYLINE_URL
 * names, through its REST API.
 */
import { COMMANDS, commandHelp } from "./src/commands.ts";
import type { Screen } from "./src/commands.ts";
import { usageText } from "./src/commands/command.ts";
import { dataFolder, dataPaths } from "./src/paths.ts";
import { Refusal } from "./src/refusal.ts";
import type { Rest } from "./src/rest.ts";
import { createRest, RestError } from "./src/rest.ts";
import { readRunning } from "./src/running.ts";
import { loadSecrets } from "./src/secrets.ts";

const screen: Screen = {
  isTerminal: process.stdout.isTTY,
  columns: process.stdout.columns ?? 80,
  write: (text) => {
    process.stdout.write(text);
  },
  fail: () => {
    process.exitCode = 1;
  },
  interruptible: async (work) => {
    const abort = new AbortController();
    const onInterrupt = (): void => abort.abort();
    process.on("SIGINT", onInterrupt);
    try {
      return await work(abort.signal);
    } finally {
      process.off("SIGINT", onInterrupt);
    }
  },
};

async function main(name: string | undefined, args: string[]): Promise<void> {
  const command = name === undefined ? undefined : COMMANDS.get(name);
  if (command === undefined) {
    const isAsked = name === undefined || ["help", "--help", "-h"].includes(name);
    if (!isAsked) throw new Refusal(`There is no command ${name}.\n\n${commandHelp()}`);
    process.stdout.write(`${commandHelp()}\n`);
    return;
  }
  if (args.includes("--help") || args.includes("-h")) {
    process.stdout.write(`${usageText(command.usage)}\n\n${command.help}\n`);
    return;
  }
  const lines = await command.run(await connect(), args, screen);
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
}

async function connect(): Promise<Rest> {
  const url = process.env["MANYLINE_URL"] ?? "";
  if (url !== "") {
    const token = process.env["ADMIN_TOKEN"] ?? "";
    if (token === "") throw new Refusal("MANYLINE_URL needs ADMIN_TOKEN beside it.");
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new Refusal("MANYLINE_URL must be a URL that starts with http:// or https://.");
    }
    return createRest(url.replace(/\/+$/, ""), token);
  }
  const paths = dataPaths(dataFolder(process.env));
  const running = readRunning(paths);
  if (running === undefined) throw new Refusal("Manyline does not run in this clone: npm start");
  const { adminToken } = await loadSecrets(paths);
  return createRest(running.publicUrl, adminToken);
}

try {
  const [name, ...args] = process.argv.slice(2);
  await main(name, args);
} catch (error) {
  const isPlain = error instanceof Refusal || error instanceof RestError;
  const text = isPlain ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
}

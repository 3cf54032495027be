/** `npm run manyline -- <command>`: small errands for a running `npm start`, through its REST API. */
import { COMMANDS, commandHelp } from "./src/commands.ts";
import { dataFolder, dataPaths } from "./src/paths.ts";
import { Refusal } from "./src/refusal.ts";
import { createRest, RestError } from "./src/rest.ts";
import { readRunning } from "./src/running.ts";
import { loadSecrets } from "./src/secrets.ts";

async function main(name: string | undefined, args: string[]): Promise<void> {
  const command = name === undefined ? undefined : COMMANDS.get(name);
  if (command === undefined || args.includes("--help")) {
    const isAsked = name === undefined || name === "help" || name === "--help" || args.length > 0;
    if (!isAsked) throw new Refusal(`There is no command ${name}.\n\n${commandHelp()}`);
    process.stdout.write(`${commandHelp()}\n`);
    return;
  }
  const paths = dataPaths(dataFolder(process.env));
  const running = readRunning(paths);
  if (running === undefined) throw new Refusal("Manyline does not run in this clone: npm start");
  const { adminToken } = await loadSecrets(paths);
  const lines = await command.run(createRest(running.publicUrl, adminToken), args);
  process.stdout.write(lines.map((line) => `${line}\n`).join(""));
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

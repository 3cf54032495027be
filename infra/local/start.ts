/** `npm start`: everything on this machine, in the foreground, until Ctrl-C. */
import { MissingToolError, ServerStartError } from "@manyline/testkit";
import { publicUrl } from "./src/environment.ts";
import { parseStartOptions, START_HELP } from "./src/options.ts";
import { dataFolder, dataPaths, ROOT } from "./src/paths.ts";
import { createProgress, excerpt } from "./src/progress.ts";
import { Refusal } from "./src/refusal.ts";
import { claimClone, releaseClone } from "./src/running.ts";
import { makeDataFolders, wipeData } from "./src/servers.ts";
import { readSettings } from "./src/settings.ts";
import type { StackFacts } from "./src/stack.ts";
import { Stack } from "./src/stack.ts";

/** One Ctrl-C arrives up to three times: from the terminal, from npm, and from the bootstrap. */
const SAME_KEYSTROKE_MS = 1000;

const say = (text: string): void => void process.stdout.write(text);

/** Resolves once somebody wants an end; whoever insists gets `onInsist`. */
function stopWish(onInsist: () => void): Promise<"wish"> {
  return new Promise((resolve) => {
    let firstAt: number | undefined;
    const onWish = (): void => {
      firstAt ??= performance.now();
      resolve("wish");
      if (performance.now() - firstAt > SAME_KEYSTROKE_MS) onInsist();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onWish);
    // The bootstrap has died without being able to tell.
    process.once("disconnect", onWish);
    process.channel?.unref();
  });
}

function table(facts: StackFacts, url: string, paths: ReturnType<typeof dataPaths>): string {
  const rows: [string, string][] = [
    ["Link a phone", facts.pairingLink],
    ["", "a fresh link: npm run manyline -- pairing-link 962302"],
    ["Simulated phone", facts.phonePage === undefined ? "" : `${facts.phonePage}/`],
    ["Mails and SMS", facts.inboxPage === undefined ? "" : `${facts.inboxPage}/`],
    ["Simulated Meta", facts.metaPage === undefined ? "" : `${facts.metaPage}/`],
    ["Simulated WPP", facts.wppPage === undefined ? "" : `${facts.wppPage}/`],
    ["REST", `${url}/docs`],
    ["Admin token", paths.adminToken],
    ["Logs", paths.logs],
    ["Stop", "Ctrl-C; the data stays. Empty it: npm start -- --fresh"],
  ];
  const lines = rows
    .filter(([, value]) => value !== "")
    .map(([name, value]) => `  ${name.padEnd(16)} ${value}`);
  return `\nManyline is ready.\n\n${lines.join("\n")}\n\n`;
}

async function main(): Promise<void> {
  const { env } = process;
  const options = parseStartOptions(process.argv.slice(2), env);
  if (options.isHelp) {
    say(`${START_HELP}\n`);
    return;
  }
  const settings = readSettings(env);
  const paths = dataPaths(dataFolder(env));
  const url = publicUrl(settings);
  const report = createProgress(say);
  process.stdout.on("error", () => {}); // the terminal was closed: stop in order all the same
  await makeDataFolders(paths);
  await claimClone(paths, { pid: process.pid, publicUrl: url });
  const { isReal, workers } = options;
  const stack = new Stack({ root: ROOT, paths, settings, isReal, workers, env, report });
  const wish = stopWish(() => {
    report("killing everything");
    void stack.kill().finally(() => process.exit(130)); // the reaper ends what is left
  });
  try {
    if (options.isFresh) {
      await wipeData(paths);
      await makeDataFolders(paths);
      report("emptied .data");
    }
    const started = stack.start();
    // A start that is being stopped fails; that is no news then.
    started.catch(() => {});
    const first = await Promise.race([started, wish]);
    if (first !== "wish") {
      say(table(first, url, paths));
      const alive = setInterval(() => {}, 60_000);
      await wish;
      clearInterval(alive);
    }
  } finally {
    await stack.stop();
    await releaseClone(paths);
    report("stopped");
  }
}

/** One readable sentence where we know what is wrong, else everything. */
function explain(error: unknown): string {
  if (error instanceof Refusal || error instanceof MissingToolError) return error.message;
  if (error instanceof ServerStartError) {
    return `${error.server} did not start. The end of ${error.logFile}:\n${excerpt(error.log)}`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\n${explain(error)}\n`);
  process.exitCode = 1;
}

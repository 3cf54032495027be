import { parseArgs } from "node:util";
import { Refusal } from "./refusal.ts";

export type StartOptions = {
  isFresh: boolean;
  isReal: boolean;
  isHelp: boolean;
  /** How many session-workers share the numbers. */
  workers: number;
};

const MAX_WORKERS = 8;

export const START_HELP = `npm start -- [options]

Starts Manyline on this machine: Postgres, NATS, Redis, the services, and a simulated WhatsApp with phones.

  --fresh        empties .data first: databases, keys, tokens, logs
  --real         talks to the real WhatsApp instead of the simulated one
  --workers <n>  starts several session-workers, at most 8, that share the numbers
  --help         this text

Environment
  DATABASE_URL, NATS_URL, REDIS_URL    use these servers instead of starting own ones
  GATEWAY_PORT, SIMULATOR_PORT, POSTGRES_PORT, NATS_PORT, REDIS_PORT
                                       use another port; the others are in infra/local/README.md
  WORKER_HEALTH_PORT                   use another port; with --workers the first of consecutive ones
  MANYLINE_DATA                        another folder than .data
  TIME_SCALE                           10 = pairing timers and limits run ten times faster (not with --real)
  LOG_LEVEL, OTEL_*                    as each service documents them

Ctrl-C stops everything; the data stays in .data.`;

/** Reads the words after `npm start --`. Throws a Refusal for what it does not know. */
export function parseStartOptions(args: readonly string[], env: NodeJS.ProcessEnv): StartOptions {
  const options = parse(args);
  const timeScale = env["TIME_SCALE"] ?? "";
  if (options.isReal && timeScale !== "" && timeScale !== "1") {
    throw new Refusal("TIME_SCALE cannot be used with --real: WhatsApp keeps its own time.");
  }
  if (options.isFresh && (env["DATABASE_URL"] ?? "") !== "") {
    throw new Refusal(
      "--fresh cannot empty the database of DATABASE_URL; please empty it yourself.",
    );
  }
  return options;
}

function parse(args: readonly string[]): StartOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        fresh: { type: "boolean", default: false },
        real: { type: "boolean", default: false },
        workers: { type: "string", default: "1" },
        help: { type: "boolean", default: false, short: "h" },
      },
    });
    const { fresh: isFresh, real: isReal, help: isHelp } = values;
    return { isFresh, isReal, isHelp, workers: readWorkers(values.workers) };
  } catch (cause) {
    if (cause instanceof Refusal) throw cause;
    const reason = cause instanceof Error ? (cause.message.split(". ")[0] ?? "") : String(cause);
    throw new Refusal(`${reason}. See: npm start -- --help`, { cause });
  }
}

function readWorkers(text: string): number {
  const workers = Number(text);
  if (Number.isInteger(workers) && workers >= 1 && workers <= MAX_WORKERS) return workers;
  throw new Refusal(`--workers must be a number from 1 to ${MAX_WORKERS}, not "${text}".`);
}

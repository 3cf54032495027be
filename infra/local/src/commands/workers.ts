import type { Metrics, Worker } from "@manyline/contracts";
import { Refusal } from "../refusal.ts";
import { fieldOf, listFrom } from "./answers.ts";
import type { CommandGroup } from "./command.ts";
import { parseWords, part } from "./command.ts";
import { ago, counted, facts, table } from "./table.ts";

const WORKERS = "workers";
const DRAIN = "drain <worker> [--yes]";
const RESUME = "resume <worker>";
const METRICS = "metrics";
const PATH = "/api/whatsapp/workers";

export const WORKER_COMMANDS: CommandGroup = {
  title: "Workers",
  commands: {
    workers: {
      usage: WORKERS,
      help: "lists the workers with what they own and how far they are with opening",
      run: async (rest, args) => {
        parseWords(WORKERS, args, { least: 0 });
        return workerTable(await listFrom<Worker>(rest, PATH, "workers"), new Date());
      },
    },
    drain: {
      usage: DRAIN,
      help: "lets a worker (id, its beginning, or host) hand over all its shards and take none",
      run: async (rest, args) => {
        const options = { yes: { type: "boolean" } } as const;
        const words = parseWords(DRAIN, args, { least: 1, options });
        const [wanted = ""] = words.positionals;
        const workers = await listFrom<Worker>(rest, PATH, "workers");
        const worker = findWorker(workers, wanted);
        const { id } = worker;
        const isLast = isLastTaker(worker, workers);
        if (isLast && !words.has("yes")) throw lastTaker(worker);
        const answer = await rest("POST", `${PATH}/${part(id)}/drain`, {});
        const { shards } = fieldOf(answer, "worker") as Worker;
        const does = isLast
          ? `${id} gives up its shards (${shards}); its numbers are disconnected until a worker takes them.`
          : `${id} hands over its shards (${shards}).`;
        return [`${does} It keeps running; undo: npm run manyline -- resume ${id}`];
      },
    },
    resume: {
      usage: RESUME,
      help: "ends a worker's drain",
      run: async (rest, args) => {
        const [wanted = ""] = parseWords(RESUME, args, { least: 1 }).positionals;
        const { id } = findWorker(await listFrom<Worker>(rest, PATH, "workers"), wanted);
        await rest("POST", `${PATH}/${part(id)}/resume`, {});
        return [`${id} takes its share of the shards again.`];
      },
    },
    metrics: {
      usage: METRICS,
      help: "shows the figures of the whole system",
      run: async (rest, args) => {
        parseWords(METRICS, args, { least: 0 });
        return metricsLines((await rest("GET", "/api/whatsapp/metrics")) as Metrics);
      },
    },
  },
};

/** The worker of this id, else the live one on this host, else the one whose id begins so. */
function findWorker(workers: readonly Worker[], wanted: string): Worker {
  const exact = workers.find(({ id }) => id === wanted);
  if (exact) return exact;
  const onHost = workers.filter(({ host, isLive }) => host === wanted && isLive);
  const found = onHost.length > 0 ? onHost : workers.filter(({ id }) => id.startsWith(wanted));
  const [one, ...more] = found;
  if (one && more.length === 0) return one;
  const names = (one ? found : workers).map(({ id }) => id).join(", ");
  const problem = one ? `"${wanted}" can be several workers` : `There is no worker "${wanted}"`;
  throw new Refusal(`${problem}: ${names === "" ? "none has been seen" : names}.`);
}

/** It lives, and there is no other worker that takes shards. */
function isLastTaker({ id, isLive }: Worker, workers: readonly Worker[]): boolean {
  const isTaker = (one: Worker): boolean => one.isLive && !one.isDraining && !one.drainAsked;
  return isLive && !workers.some((one) => one.id !== id && isTaker(one));
}

function lastTaker({ id, numbers }: Worker): Refusal {
  const all = numbers === 1 ? "its 1 number" : `its ${numbers} numbers`;
  return new Refusal(
    `No other worker could take the shards of ${id}: ${all} would be disconnected until one can. ` +
      `If that is wanted: npm run manyline -- drain ${id} --yes`,
  );
}

export function workerTable(workers: readonly Worker[], now: Date): string[] {
  return table(
    workers,
    [
      { title: "WORKER", cell: ({ id }) => id },
      { title: "HOST", cell: ({ host }) => host },
      { title: "STATE", cell: stateOf },
      { title: "GEN", isRight: true, cell: ({ generation }) => generation },
      { title: "CAP", isRight: true, cell: ({ capacity }) => capacity },
      { title: "SHARDS", isRight: true, cell: ({ shards }) => shards },
      { title: "WEIGHT", isRight: true, cell: ({ weight }) => weight },
      { title: "NUMBERS", isRight: true, cell: ({ numbers }) => numbers },
      { title: "CONNECTED", isRight: true, cell: ({ connected }) => connected },
      { title: "OPENING", isRight: true, cell: ({ opening }) => opening },
      { title: "WAITING", isRight: true, cell: ({ waiting }) => waiting },
      { title: "UP", isRight: true, cell: ({ startedAt }) => ago(startedAt, now) },
      { title: "SEEN", isRight: true, cell: ({ seenAt }) => ago(seenAt, now) },
    ],
    "No worker has been seen.",
  );
}

function stateOf({ isLive, isDraining, drainAsked }: Worker): string {
  if (!isLive) return "gone";
  if (drainAsked) return "drained";
  return isDraining ? "leaving" : "live";
}

export function metricsLines(metrics: Metrics): string[] {
  const { opening } = metrics;
  const toOpen = `${opening.opening} opening, ${opening.waiting} waiting`;
  return facts([
    ["companies", metrics.totalCompanies],
    ["numbers", metrics.numbers],
    ...Object.entries(metrics.numbersByStatus).map(
      ([status, count]) => [`  ${status}`, count] as const,
    ),
    [
      "opened",
      opening.wanted === 0
        ? "nothing to open"
        : `${opening.percent} % of ${opening.wanted} (${toOpen})`,
    ],
    ["without an owner", withoutOwner(metrics)],
    ["pending pairing codes", metrics.pendingPairingCodes],
    ["blocked companies", metrics.blockedCompanies],
    ["average reconnect, 24 h", metrics.averageReconnectTime],
    ["linked by QR : code, %", metrics.qrToPairingRatio],
    ["as of", metrics.asOf],
  ]);
}

function withoutOwner({ ownerlessNumbers, ownerlessShards, pausedShards }: Metrics): string {
  const paused = pausedShards > 0 ? `; ${counted(pausedShards, "shard")} paused` : "";
  return `${counted(ownerlessNumbers, "number")} on ${counted(ownerlessShards, "shard")}${paused}`;
}

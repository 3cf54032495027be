import type { Shard, ShardMove } from "@manyline/contracts";
import type { Rest } from "../rest.ts";
import { fieldOf, listFrom } from "./answers.ts";
import type { Command, CommandGroup } from "./command.ts";
import { parseWords, wholeNumber } from "./command.ts";
import { ago, facts, table, yesNo } from "./table.ts";

const SHARDS = "shards [shard]";
const MOVES = "moves [shard]";
const SPLIT = "split <shard> [company]";
const MERGE = "merge <shard>";
const PATH = "/api/whatsapp/shards";
const SHARD_IDS = { least: 1, most: 999_999_999 };

export const SHARD_COMMANDS: CommandGroup = {
  title: "Shards",
  commands: {
    shards: {
      usage: SHARDS,
      help: "lists who owns which companies and since when; or one shard with its last moves",
      run: async (rest, args) => {
        const [text] = parseWords(SHARDS, args, { least: 0, most: 1 }).positionals;
        const now = new Date();
        if (text === undefined) {
          return shardTable(await listFrom<Shard>(rest, PATH, "shards"), now);
        }
        const answer = await rest("GET", `${PATH}/${idOf(text)}`);
        const moves = fieldOf(answer, "moves") as ShardMove[];
        return [
          ...shardFacts(fieldOf(answer, "shard") as Shard, now),
          "",
          ...moveTable(moves, now),
        ];
      },
    },
    moves: {
      usage: MOVES,
      help: "lists the last moves of all shards, or of one",
      run: async (rest, args) => {
        const [text] = parseWords(MOVES, args, { least: 0, most: 1 }).positionals;
        const path = text === undefined ? "/api/whatsapp/shard-moves" : `${PATH}/${idOf(text)}`;
        return moveTable(await listFrom<ShardMove>(rest, path, "moves"), new Date());
      },
    },
    pin: {
      usage: "pin <shard> <host>",
      help: "moves a shard to a worker's host and keeps it there while a worker lives on it",
      run: async (rest, args) => {
        const [text = "", host = ""] = parseWords("pin <shard> <host>", args, {
          least: 2,
        }).positionals;
        const answer = await rest("POST", `${PATH}/${idOf(text)}/pin`, { host });
        const { id, pin, owner } = fieldOf(answer, "shard") as Shard;
        if (pin?.isBinding === false) {
          return [
            `Shard ${id} is pinned to ${host}, where no worker lives now: until then it is free.`,
          ];
        }
        const isThere = owner?.host === host;
        return [`Shard ${id} is pinned to ${host}${isThere ? "" : " and moves there"}.`];
      },
    },
    unpin: onShard("unpin", "takes a shard's pin away", "DELETE", "pin", ({ id }) => [
      `Shard ${id} is free for every worker.`,
    ]),
    pause: onShard(
      "pause",
      "disconnects a shard's numbers; nobody owns it until unpause",
      "POST",
      "pause",
      ({ id, owner }) => [
        owner === null
          ? `Shard ${id} is paused.`
          : `Shard ${id} is paused; ${owner.workerId} closes its connections and gives it back.`,
      ],
    ),
    unpause: onShard("unpause", "lets a worker take a paused shard", "POST", "resume", ({ id }) => [
      `Shard ${id} is no longer paused; a worker takes it.`,
    ]),
    split: {
      usage: SPLIT,
      help: "splits a shard in the middle of its numbers, or where the company begins",
      run: async (rest, args) => {
        const [text = "", at] = parseWords(SPLIT, args, { least: 1, most: 2 }).positionals;
        const body = at === undefined ? {} : { at };
        const answer = await rest("POST", `${PATH}/${idOf(text)}/split`, body);
        const { id, pending, range } = fieldOf(answer, "shard") as Shard;
        const { split } = pending;
        return [
          split === null
            ? `Shard ${id} is split; it ends before place ${range.hi} now.`
            : `Shard ${id} is split at ${split.companyId ?? split.at} by its owner, within seconds.`,
        ];
      },
    },
    merge: {
      usage: MERGE,
      help: "merges a shard with the one right above; both need the same owner, or none",
      run: async (rest, args) => {
        const [text = ""] = parseWords(MERGE, args, { least: 1 }).positionals;
        const shardId = idOf(text);
        const upper = await shardAbove(rest, shardId);
        const answer = await rest("POST", `${PATH}/${shardId}/merge`, {});
        const { id, pending, range } = fieldOf(answer, "shard") as Shard;
        const does = pending.merge
          ? `takes in shard ${upper}, the one above it; its owner does it within seconds.`
          : `has taken in shard ${upper}, the one above it; it ends before place ${range.hi} now.`;
        return [`Shard ${id} ${does} It is then free: another worker may take it.`];
      },
    },
    unsplit: onShard(
      "unsplit",
      "takes back a split that has not been carried out yet",
      "DELETE",
      "split",
      ({ id, range }) => [`Nobody waits to split shard ${id}; it ends before place ${range.hi}.`],
    ),
    unmerge: onShard(
      "unmerge",
      "takes back a merge that has not been carried out yet",
      "DELETE",
      "merge",
      ({ id, range }) => [`Nobody waits to merge shard ${id}; it ends before place ${range.hi}.`],
    ),
  },
};

/** The shard that a merge takes in; `?` where there is none, which the gateway then says. */
async function shardAbove(rest: Rest, shardId: number): Promise<number | "?"> {
  const shards = await listFrom<Shard>(rest, PATH, "shards");
  const lower = shards.find(({ id }) => id === shardId);
  return shards.find(({ range }) => range.lo === lower?.range.hi)?.id ?? "?";
}

/** A command that asks one thing of one shard. */
function onShard(
  name: string,
  help: string,
  method: "POST" | "DELETE",
  action: string,
  say: (shard: Shard) => string[],
): Command {
  const usage = `${name} <shard>`;
  return {
    usage,
    help,
    run: async (rest: Rest, args) => {
      const [text = ""] = parseWords(usage, args, { least: 1 }).positionals;
      const body = method === "POST" ? {} : undefined;
      return say(
        fieldOf(await rest(method, `${PATH}/${idOf(text)}/${action}`, body), "shard") as Shard,
      );
    },
  };
}

function idOf(text: string): number {
  return wholeNumber("The shard", text, SHARD_IDS);
}

export function shardTable(shards: readonly Shard[], now: Date): string[] {
  return table(
    shards,
    [
      { title: "SHARD", isRight: true, cell: ({ id }) => id },
      { title: "COMPANIES", cell: rangeOf },
      { title: "OWNER", cell: ownerOf },
      { title: "SINCE", isRight: true, cell: ({ ownedSince }) => ago(ownedSince, now) },
      { title: "EPOCH", isRight: true, cell: ({ epoch }) => epoch },
      { title: "MOVES", isRight: true, cell: ({ moves }) => moves },
      { title: "WEIGHT", isRight: true, cell: ({ weight }) => weight },
      { title: "NUMBERS", isRight: true, cell: ({ numbers }) => numbers },
      { title: "CONNECTED", isRight: true, cell: ({ connected }) => connected },
      { title: "NOTES", cell: notesOf },
    ],
    "There are no shards yet: the first company makes one.",
  );
}

function shardFacts(shard: Shard, now: Date): string[] {
  return facts([
    ["shard", shard.id],
    ["companies", rangeOf(shard)],
    ["range", `${shard.range.lo} to ${shard.range.hi - 1}`],
    ["owner", ownerOf(shard)],
    ["host", shard.owner?.host],
    ["lease is live", yesNo(shard.isLive)],
    ["owned for", ago(shard.ownedSince, now)],
    ["epoch", shard.epoch],
    ["moves", shard.moves],
    ["weight", shard.weight],
    ["numbers", shard.numbers],
    ["connected", shard.connected],
    ["notes", notesOf(shard)],
  ]);
}

function moveTable(moves: readonly ShardMove[], now: Date): string[] {
  return table(
    moves,
    [
      { title: "AGO", isRight: true, cell: ({ at }) => ago(at, now) },
      { title: "SHARD", isRight: true, cell: ({ shardId }) => shardId },
      { title: "EPOCH", isRight: true, cell: ({ epoch }) => epoch },
      { title: "HOW", cell: ({ how }) => how },
      { title: "TO", cell: ({ workerId }) => workerId },
      { title: "FROM", cell: ({ previousWorkerId }) => previousWorkerId },
    ],
    "No moves in the last 7 days.",
  );
}

function rangeOf({ range }: Shard): string {
  const { companies, firstCompanyId, lastCompanyId } = range;
  if (firstCompanyId === null || lastCompanyId === null) return "none";
  return firstCompanyId === lastCompanyId
    ? firstCompanyId
    : `${companies}: ${firstCompanyId} … ${lastCompanyId}`;
}

function ownerOf({ owner, isLive }: Shard): string {
  if (owner === null) return "nobody";
  return isLive ? owner.workerId : `${owner.workerId} (lease ran out)`;
}

function notesOf({ pin, isPaused, pending }: Shard): string {
  const notes = [
    ...(isPaused ? ["paused"] : []),
    ...(pin === null ? [] : [`pinned to ${pin.host}${pin.isBinding ? "" : " (no worker there)"}`]),
    ...(pending.split === null ? [] : [`split at ${pending.split.companyId ?? pending.split.at}`]),
    ...(pending.merge ? ["merge with the one above"] : []),
  ];
  return notes.join(", ");
}

/**
 * What an operator wishes of a shard. Its owner carries it out within seconds (202): it alone can close
 * the connections first. Of a shard that nobody owns the gateway does it at once (200).
 */
import { LEASE_POKE, ManylineError, shardPoke } from "@manyline/contracts";
import type { Shard } from "@manyline/contracts";
import { mergeShards, middleOfShard, shardOfCompany, splitShard, wishShard } from "@manyline/db";
import type { ShardRow, Tx } from "@manyline/db";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { invalidRequest } from "../problem.ts";
import { readShard, rowOf, shardRows } from "../shards.ts";
import { operatorWork } from "../work.ts";
import type { Work } from "../work.ts";
import { ShardParams, envelope, shardIdOf } from "./operator-schemas.ts";
import { Nothing, problems, ref } from "./schemas.ts";

const SHARD = "/api/whatsapp/shards/:shardId";
const tags = ["operations"];
const ShardEnvelope = envelope({ shard: ref("Shard") });
const responses = { 200: ShardEnvelope, 202: ShardEnvelope, ...problems };

const PinBody = Type.Object(
  { host: Type.String({ minLength: 1, maxLength: 253, pattern: "^[^\\s\\p{Cc}\\p{Cs}]+$" }) },
  { additionalProperties: false },
);
const SplitBody = Type.Object(
  {
    at: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: "the company the upper part begins with; default: the middle by numbers",
      }),
    ),
  },
  { additionalProperties: false },
);

export function registerShardWishes(app: App, deps: Deps): void {
  app.post(
    `${SHARD}/pin`,
    {
      schema: {
        tags,
        summary: "Pin a shard to a host: it moves there, and stays while a worker lives on it",
        params: ShardParams,
        body: PinBody,
        response: responses,
      },
    },
    (request, reply) => {
      const { host } = request.body;
      return carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { pinnedTo: host });
        work.note("shard.pinned", String(row.shardId), { host });
        return row.owner !== null;
      });
    },
  );

  app.delete(
    `${SHARD}/pin`,
    {
      schema: {
        tags,
        summary: "Take away a shard's pin",
        params: ShardParams,
        response: { 200: ShardEnvelope, ...problems },
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { pinnedTo: null });
        work.note("shard.unpinned", String(row.shardId));
        return false;
      }),
  );

  app.post(
    `${SHARD}/pause`,
    {
      schema: {
        tags,
        summary:
          "Pause a shard: its numbers are disconnected and nobody owns it until it is resumed",
        params: ShardParams,
        body: Nothing,
        response: responses,
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { paused: true });
        work.note("shard.paused", String(row.shardId));
        return row.owner !== null;
      }),
  );

  app.post(
    `${SHARD}/resume`,
    {
      schema: {
        tags,
        summary: "Resume a paused shard: a worker takes it",
        params: ShardParams,
        body: Nothing,
        response: { 200: ShardEnvelope, ...problems },
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { paused: false });
        work.note("shard.resumed", String(row.shardId));
        return false;
      }),
  );

  app.post(
    `${SHARD}/split`,
    {
      schema: {
        tags,
        summary: "Split a shard in two; both go on as shards of their own",
        params: ShardParams,
        body: SplitBody,
        response: responses,
      },
    },
    (request, reply) => {
      const { at } = request.body;
      return carryOut(deps, request, reply, async (work, row) => {
        const splitAt = await placeOfSplit(work.tx, row, at);
        const { shardId } = row;
        work.note("shard.split_asked", String(shardId), { at: splitAt });
        const made = await splitShard(work.tx, { workerId: null, shardId, at: splitAt });
        if (made !== undefined) return false;
        await wish(work.tx, row, { splitAt, mergeNext: false });
        return true;
      });
    },
  );

  app.delete(
    `${SHARD}/split`,
    {
      schema: {
        tags,
        summary: "Take back a split that its owner has not carried out yet",
        params: ShardParams,
        response: { 200: ShardEnvelope, ...problems },
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { splitAt: null });
        work.note("shard.split_withdrawn", String(row.shardId));
        return false;
      }),
  );

  app.post(
    `${SHARD}/merge`,
    {
      schema: {
        tags,
        summary: "Merge a shard with the one right above it; both need the same owner, or none",
        params: ShardParams,
        body: Nothing,
        response: responses,
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row, rows) => {
        const upper = rows.find(({ lo }) => lo === row.hi);
        if (!upper) {
          const detail = "There is no shard right above this one.";
          throw new ManylineError("SHARD_NOT_DIVISIBLE", { detail });
        }
        if (row.owner !== upper.owner) throw apart(row, upper);
        const { shardId } = row;
        work.note("shard.merge_asked", String(shardId), { upper: upper.shardId });
        if ((await mergeShards(work.tx, { workerId: null, shardId })) !== undefined) return false;
        await wish(work.tx, row, { mergeNext: true, splitAt: null });
        return true;
      }),
  );

  app.delete(
    `${SHARD}/merge`,
    {
      schema: {
        tags,
        summary: "Take back a merge that its owner has not carried out yet",
        params: ShardParams,
        response: { 200: ShardEnvelope, ...problems },
      },
    },
    (request, reply) =>
      carryOut(deps, request, reply, async (work, row) => {
        await wish(work.tx, row, { mergeNext: false });
        work.note("shard.merge_withdrawn", String(row.shardId));
        return false;
      }),
  );
}

/**
 * Runs one wish in a transaction and answers the shard as it is then; `act` says whether its owner has
 * something to do. Workers are poked either way: there may be a shard to take.
 */
async function carryOut(
  deps: Deps,
  request: FastifyRequest<{ Params: { shardId: string } }>,
  reply: FastifyReply,
  act: (work: Work, row: ShardRow, rows: readonly ShardRow[]) => Promise<boolean>,
): Promise<FastifyReply> {
  const shardId = shardIdOf(request.params.shardId);
  const [isPending, shard] = await operatorWork(
    deps,
    request,
    async (work): Promise<[boolean, Shard]> => {
      const rows = await shardRows(work.tx);
      const hasToDo = await act(work, rowOf(rows, shardId), rows);
      return [hasToDo, await readShard(work.tx, shardId)];
    },
  );
  deps.bus.poke(LEASE_POKE);
  deps.bus.poke(shardPoke(shardId));
  return reply.code(isPending ? 202 : 200).send({ success: true, shard });
}

async function wish(tx: Tx, row: ShardRow, wishes: Parameters<typeof wishShard>[2]): Promise<void> {
  if (!(await wishShard(tx, row.shardId, wishes))) throw new ManylineError("SHARD_NOT_FOUND");
}

/** Where the upper part begins, as a company_no inside the shard and not its first. */
async function placeOfSplit(tx: Tx, row: ShardRow, at: string | undefined): Promise<number> {
  if (at === undefined) {
    const middle = await middleOfShard(tx, row.shardId);
    if (middle !== undefined) return middle;
    const detail = "This shard has fewer than two companies.";
    throw new ManylineError("SHARD_NOT_DIVISIBLE", { detail });
  }
  const company = await shardOfCompany(tx, at);
  if (!company) throw new ManylineError("COMPANY_NOT_FOUND");
  if (company.shardId !== row.shardId) {
    const message = `is a company of shard ${company.shardId}`;
    throw invalidRequest({ field: "at", message });
  }
  if (company.companyNo <= row.lo) {
    throw invalidRequest({ field: "at", message: "is the first company: nothing is below it" });
  }
  return company.companyNo;
}

function apart(row: ShardRow, upper: ShardRow): ManylineError {
  const named = ({ shardId, owner }: ShardRow): string =>
    `shard ${shardId} is with ${owner ?? "nobody"}`;
  return new ManylineError("SHARDS_APART", {
    detail: `They are apart: ${named(row)}, ${named(upper)}.`,
    shards: [row.shardId, upper.shardId],
  });
}

import { listShardMoves } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { moveAnswer } from "../domain/operations.ts";
import { readShard, readShards } from "../shards.ts";
import {
  LimitField,
  ShardParams,
  envelope,
  limitOf,
  listOf,
  shardIdOf,
} from "./operator-schemas.ts";
import { problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["operations"];
const LAST_MOVES = 20;

export function registerShards(app: App, deps: Deps): void {
  app.get(
    `${BASE}/shards`,
    {
      schema: {
        tags,
        summary: "List the shards: who owns which companies, and since when",
        response: { 200: envelope({ shards: listOf(ref("Shard")) }), ...problems },
      },
    },
    async () => ({ success: true, shards: await readShards(deps.platformDb) }),
  );

  app.get(
    `${BASE}/shards/:shardId`,
    {
      schema: {
        tags,
        summary: "Read a shard with its last moves, the newest first",
        params: ShardParams,
        response: {
          200: envelope({ shard: ref("Shard"), moves: listOf(ref("ShardMove")) }),
          ...problems,
        },
      },
    },
    async (request) => {
      const shardId = shardIdOf(request.params.shardId);
      const shard = await readShard(deps.platformDb, shardId);
      const moves = await listShardMoves(deps.platformDb, { shardId, limit: LAST_MOVES });
      return { success: true, shard, moves: moves.map(moveAnswer) };
    },
  );

  app.get(
    `${BASE}/shard-moves`,
    {
      schema: {
        tags,
        summary: "List the last moves of all shards, the newest first; they are kept 7 days",
        querystring: Type.Object({ limit: LimitField }, { additionalProperties: false }),
        response: { 200: envelope({ moves: listOf(ref("ShardMove")) }), ...problems },
      },
    },
    async (request) => {
      const limit = limitOf(request.query.limit);
      const moves = await listShardMoves(deps.platformDb, { limit });
      return { success: true, moves: moves.map(moveAnswer) };
    },
  );
}

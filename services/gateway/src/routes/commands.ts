import {
  COMMANDS,
  COMMAND_STATES,
  ManylineError,
  newCommandId,
  shardPoke,
} from "@manyline/contracts";
import type { Command } from "@manyline/contracts";
import {
  companyIdsOf,
  getCommand,
  listCommands,
  numberIdsOf,
  replayCommand,
  shardOfCompany,
} from "@manyline/db";
import type { CommandRow, Executor } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { numberIdFrom } from "../domain/ids.ts";
import { noOwner } from "../problem.ts";
import { operatorWork } from "../work.ts";
import { LimitField, Next, envelope, limitOf, listOf } from "./operator-schemas.ts";
import { Nothing, problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["operations"];

export function registerCommands(app: App, deps: Deps): void {
  app.get(
    `${BASE}/commands`,
    {
      schema: {
        tags,
        summary: "List commands, the newest first; state=dead: those that were given up",
        querystring: Type.Object(
          {
            state: Type.Optional(Type.Enum([...COMMAND_STATES])),
            company: Type.Optional(Type.String({ description: "only this company's" })),
            before: Type.Optional(Type.String({ description: "`next` of the page before" })),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: { 200: envelope({ commands: listOf(ref("Command")), next: Next }), ...problems },
      },
    },
    async (request) => {
      const { state, company, before } = request.query;
      const limit = limitOf(request.query.limit);
      const found =
        company === undefined ? undefined : await shardOfCompany(deps.platformDb, company);
      if (company !== undefined && !found) throw new ManylineError("COMPANY_NOT_FOUND");
      const rows = await listCommands(deps.platformDb, {
        state,
        companyNo: found?.companyNo,
        before,
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? (page.at(-1)?.commandId ?? null) : null;
      return { success: true, commands: await answersOf(deps.platformDb, page), next };
    },
  );

  app.post(
    `${BASE}/commands/:commandId/replay`,
    {
      schema: {
        tags,
        summary: "Give a dead command to the owner again, as a new command with a new deadline",
        params: Type.Object({ commandId: Type.String({ description: "cmd_…" }) }),
        body: Nothing,
        response: { 202: envelope({ command: ref("Command") }), ...problems },
      },
    },
    async (request, reply) => {
      const { commandId } = request.params;
      const { shardId, command } = await operatorWork(deps, request, async ({ tx, note }) => {
        const dead = await getCommand(tx, commandId);
        if (!dead) throw new ManylineError("COMMAND_NOT_FOUND");
        const newId = newCommandId();
        const { deadlineMs } = COMMANDS[dead.verb];
        const replayed = await replayCommand(tx, commandId, newId, deadlineMs);
        if (!replayed) throw notDead(dead);
        if (!replayed.hasOwner) throw noOwner(replayed.isPaused);
        note("command.replayed", commandId, { verb: dead.verb, as: newId });
        const [answer] = await answersOf(tx, [replayed.command]);
        return { shardId: replayed.shardId, command: answer };
      });
      deps.bus.poke(shardPoke(shardId));
      return reply.code(202).send({ success: true, command });
    },
  );
}

/** Dead and not to be replayed is one whose replay is on its way, or has done its work. */
function notDead({ state }: CommandRow): ManylineError {
  const detail = state === "dead" ? "It was replayed already." : `It is ${state}.`;
  return new ManylineError("NOT_DEAD", { state, detail });
}

async function answersOf(executor: Executor, rows: readonly CommandRow[]): Promise<Command[]> {
  const companyIds = await companyIdsOf(executor, [...new Set(rows.map((row) => row.companyNo))]);
  const numberIds = await numberIdsOf(executor, [...new Set(rows.map((row) => row.numberNo))]);
  return rows.map((row) => ({
    id: row.commandId,
    companyId: companyIds.get(row.companyNo) ?? null,
    numberId: numberIdFrom(numberIds.get(row.numberNo)),
    verb: row.verb,
    state: row.state,
    reason: row.error?.reason ?? row.error?.code ?? null,
    attempts: row.attempts,
    deadlineAt: row.deadlineAt.toISOString(),
    createdAt: row.createdAt.toISOString(),
    replayOf: row.replayOf,
  }));
}

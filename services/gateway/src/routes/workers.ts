import { LEASE_POKE, ManylineError } from "@manyline/contracts";
import type { Worker } from "@manyline/contracts";
import { askDrain, listWorkers } from "@manyline/db";
import type { Executor } from "@manyline/db";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { workerAnswer } from "../domain/operations.ts";
import { operatorWork } from "../work.ts";
import { envelope, listOf } from "./operator-schemas.ts";
import { Nothing, problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["operations"];
const WorkerParams = Type.Object({ workerId: Type.String() });
const WorkerEnvelope = envelope({ worker: ref("Worker") });

export function registerWorkers(app: App, deps: Deps): void {
  app.get(
    `${BASE}/workers`,
    {
      schema: {
        tags,
        summary: "List the session workers that are or were there, oldest first",
        response: { 200: envelope({ workers: listOf(ref("Worker")) }), ...problems },
      },
    },
    async () => ({ success: true, workers: await readWorkers(deps.platformDb) }),
  );

  app.post(
    `${BASE}/workers/:workerId/drain`,
    {
      schema: {
        tags,
        summary:
          "Drain a worker: it hands over its shards one by one, and keeps running without any",
        params: WorkerParams,
        body: Nothing,
        response: { 202: WorkerEnvelope, ...problems },
      },
    },
    async (request, reply) => {
      const worker = await ask(deps, request, request.params.workerId, true);
      return reply.code(202).send({ success: true, worker });
    },
  );

  app.post(
    `${BASE}/workers/:workerId/resume`,
    {
      schema: {
        tags,
        summary: "End a drain: the worker takes its share of the shards again",
        params: WorkerParams,
        body: Nothing,
        response: { 202: WorkerEnvelope, ...problems },
      },
    },
    async (request, reply) => {
      const worker = await ask(deps, request, request.params.workerId, false);
      return reply.code(202).send({ success: true, worker });
    },
  );
}

async function readWorkers(executor: Executor): Promise<Worker[]> {
  return (await listWorkers(executor)).map(workerAnswer);
}

async function ask(
  deps: Deps,
  request: FastifyRequest,
  workerId: string,
  isAsked: boolean,
): Promise<Worker> {
  const worker = await operatorWork(deps, request, async ({ tx, note }) => {
    if (!(await askDrain(tx, workerId, isAsked))) throw new ManylineError("WORKER_NOT_FOUND");
    note(isAsked ? "worker.drain_asked" : "worker.resumed", workerId);
    const found = (await readWorkers(tx)).find(({ id }) => id === workerId);
    if (!found) throw new ManylineError("WORKER_NOT_FOUND");
    return found;
  });
  deps.bus.poke(LEASE_POKE);
  return worker;
}

/** Companies' keys for flows, and what Meta has of them. */
import {
  FLOW_FIGURES,
  ManylineError,
  newFlowKeyId,
  parseNumberId,
  RotateFlowKey,
  type FlowKey,
  type NumberFlowKey,
} from "@manyline/contracts";
import { flowKeyFingerprint, newFlowKeyPair } from "@manyline/contracts/flows";
import {
  addFlowKey,
  endFlowKey,
  type FlowKeyRow,
  getNumber,
  listFlowKeys,
  lockFlowKeys,
  withCompany,
} from "@manyline/db";
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { App } from "../app.ts";
import { principalOf, tenantOf } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { companyWork } from "../work.ts";
import { CompanyParams, Nothing, NumberParams, problems, ref } from "./schemas.ts";

const COMPANY = "/api/whatsapp/companies/:companyId";
const tags = ["flows"];
const HOUR_MS = 3_600_000;
const success = { success: true as const };
const KeyAnswer = Type.Object({ success: Type.Literal(true), key: Type.Unsafe(ref("FlowKey")) });

export function registerFlowKeys(app: App, deps: Deps): void {
  app.get(
    `${COMPANY}/flow-keys`,
    {
      schema: {
        tags,
        summary: "The company's keys that answer, the current one first",
        params: CompanyParams,
        response: {
          200: Type.Object({
            success: Type.Literal(true),
            keys: Type.Array(Type.Unsafe(ref("FlowKey"))),
          }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const keys = await withCompany(deps.appDb, companyNo, (tx) => listFlowKeys(tx, companyNo));
      return { ...success, keys: keys.map(keyOf) };
    },
  );

  app.post(
    `${COMPANY}/flow-keys`,
    {
      schema: {
        tags,
        summary: "Make the company's key for flows; its private part never leaves",
        params: CompanyParams,
        body: Nothing,
        response: { 201: KeyAnswer, ...problems },
      },
    },
    async (request, reply) => {
      const key = await makeKey(deps, request, (keys) => {
        if (keys.length > 0) throw new ManylineError("FLOW_KEY_EXISTS");
        return 0;
      });
      return reply.code(201).send({ ...success, key });
    },
  );

  app.post(
    `${COMPANY}/flow-keys/rotate`,
    {
      schema: {
        tags,
        summary: "Put another key in its place; the former one goes on answering for a while",
        description: "Upload the new one for each number before the former one retires.",
        params: CompanyParams,
        body: RotateFlowKey,
        response: { 201: KeyAnswer, ...problems },
      },
    },
    async (request, reply) => {
      const { overlapHours = FLOW_FIGURES.overlapHours } = request.body;
      const key = await makeKey(deps, request, (keys) => {
        if (keys.length === 0) throw new ManylineError("FLOW_KEY_NOT_FOUND");
        const isMore = overlapHours > 0;
        if (keys.length + (isMore ? 1 : 0) > FLOW_FIGURES.keys) {
          throw new ManylineError("FLOW_KEYS_MANY");
        }
        return Math.round(overlapHours * HOUR_MS);
      });
      return reply.code(201).send({ ...success, key });
    },
  );

  app.delete(
    `${COMPANY}/flow-keys/:keyId`,
    {
      schema: {
        tags,
        summary: "A former key answers no more",
        params: Type.Object({ ...CompanyParams.properties, keyId: Type.String() }),
        response: { 200: Type.Object({ success: Type.Literal(true) }), ...problems },
      },
    },
    async (request) => {
      const { companyNo } = tenantOf(request);
      const { keyId } = request.params;
      await companyWork(deps, request, async ({ tx, note }) => {
        if (!(await endFlowKey(tx, companyNo, keyId)))
          throw new ManylineError("FLOW_KEY_NOT_FOUND");
        note("flow_key.ended", keyId);
      });
      return success;
    },
  );

  const ofNumber = (verb: "upload_flow_key" | "read_flow_key") => (request: NumberRequest) =>
    askOwner(deps, request, verb);
  app.get(
    `${COMPANY}/numbers/:numberId/flow-key`,
    {
      schema: {
        tags,
        summary: "Ask Meta which key it has for the number",
        params: NumberParams,
        response: { 200: ref("NumberFlowKey"), ...problems },
      },
    },
    ofNumber("read_flow_key"),
  );
  app.post(
    `${COMPANY}/numbers/:numberId/flow-key`,
    {
      schema: {
        tags,
        summary: "Give Meta the company's current key for the number, and read it back",
        params: NumberParams,
        body: Nothing,
        response: { 200: ref("NumberFlowKey"), ...problems },
      },
    },
    ofNumber("upload_flow_key"),
  );
}

/** `overlapOf`: from the keys there are, how long the current one answers on, ms; or throws. */
async function makeKey(
  deps: Deps,
  request: FastifyRequest,
  overlapOf: (keys: readonly FlowKeyRow[]) => number,
): Promise<FlowKey> {
  const { companyNo } = tenantOf(request);
  // Before the transaction: it takes its time.
  const { publicKey, privateKey } = await newFlowKeyPair();
  const fingerprint = flowKeyFingerprint(publicKey) ?? "";
  const made = { flowKeyId: newFlowKeyId(), publicKey, fingerprint, privateKey };
  return companyWork(deps, request, async ({ tx, note }) => {
    await lockFlowKeys(tx, companyNo);
    const keys = await listFlowKeys(tx, companyNo);
    const overlapMs = overlapOf(keys);
    await addFlowKey(tx, deps.keyring, companyNo, made, overlapMs);
    note(keys.length === 0 ? "flow_key.created" : "flow_key.rotated", made.flowKeyId, {
      overlapMs,
    });
    const stored = (await listFlowKeys(tx, companyNo)).find(({ retiresAt }) => retiresAt === null);
    if (!stored) throw new ManylineError("INTERNAL");
    return keyOf(stored);
  });
}

function keyOf({ flowKeyId, publicKey, fingerprint, createdAt, retiresAt }: FlowKeyRow): FlowKey {
  return {
    id: flowKeyId,
    publicKey,
    fingerprint,
    createdAt: createdAt.toISOString(),
    retiresAt: retiresAt?.toISOString() ?? null,
  };
}

type NumberRequest = FastifyRequest<{ Params: { companyId: string; numberId: string } }>;

async function askOwner(
  deps: Deps,
  request: NumberRequest,
  verb: "upload_flow_key" | "read_flow_key",
): Promise<NumberFlowKey> {
  const { companyNo } = tenantOf(request);
  const { numberNo: bound } = principalOf(request);
  const numberId = parseNumberId(request.params.numberId);
  const command = await companyWork(deps, request, async ({ tx, note }) => {
    const number = numberId && (await getNumber(tx, companyNo, numberId));
    if (!number || (bound !== null && bound !== number.numberNo)) {
      throw new ManylineError("NUMBER_NOT_FOUND");
    }
    if (number.provider !== "meta") throw new ManylineError("PROVIDER_NOT_SUPPORTED");
    if (verb === "upload_flow_key") note("flow_key.uploaded", number.numberId);
    return deps.commands.enqueue(tx, number, verb, {});
  });
  const found = await deps.commands.result(command);
  return { ...success, ...(found as Omit<NumberFlowKey, "success">) };
}

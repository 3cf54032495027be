/** A webhook-ingest, a simulated Meta with phones, and companies with flows. */
import assert from "node:assert/strict";
import { askFlow, newFlowKeyId, parseCompanyId, type FlowRequest } from "@manyline/contracts";
import { flowKeyFingerprint, newFlowKeyPair } from "@manyline/contracts/flows";
import { addFlowKey, type FlowHandler, putFlowHandler, withCompany } from "@manyline/db";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { startMetaSimulator } from "@manyline/simulators/meta";
import type { PostgresServer } from "@manyline/testkit";
import { addLine, type Line, openRoom, SECRET } from "./room.ts";

const ANN = "15550100019";

export type FlowLine = Line & { flowId: string };
export type FlowRoom = Awaited<ReturnType<typeof openFlowRoom>>;

export async function openFlowRoom(server: PostgresServer) {
  const room = await openRoom({
    server,
    env: { HANDLER_OPEN_ADDRESSES: "127.0.0.1", FLOW_HANDLER_MS: "600", FLOW_BODY_BYTES: "20000" },
  });
  const meta = await startMetaSimulator({
    deliveries: { retryMs: 20 },
    flows: { timeoutMs: 3_000 },
  });
  meta.world.addApp({ secret: SECRET, callbackUrl: `${room.url}/webhooks/meta` });
  const bus = createBus({
    servers: [room.nats.url],
    name: "handler",
    logger: createSilentLogger(),
  });
  assert.ok(await bus.waitConnected(5_000));

  /** A new key of the company, given to its number at Meta or not. */
  async function newKey(line: Line, overlapMs = 60_000, isUploaded = true): Promise<string> {
    const { publicKey, privateKey } = await newFlowKeyPair();
    const flowKeyId = newFlowKeyId();
    const fingerprint = flowKeyFingerprint(publicKey) ?? "";
    await withCompany(room.app, line.companyNo, (tx) =>
      addFlowKey(
        tx,
        room.database.keyring,
        line.companyNo,
        { flowKeyId, publicKey, fingerprint, privateKey },
        overlapMs,
      ),
    );
    if (isUploaded) upload(line, publicKey);
    return flowKeyId;
  }

  /** At the simulator, without the Graph API in between. */
  function upload(line: Line, publicKey: string): void {
    const number = meta.world.numbers.get(line.phoneNumberId);
    assert.ok(number);
    number.encryptionKey = publicKey;
  }

  const setHandler = (line: Line, handler: FlowHandler) =>
    withCompany(room.app, line.companyNo, (tx) =>
      putFlowHandler(tx, room.database.keyring, line.companyNo, handler),
    );

  /** A company with a number, a key and a flow. */
  async function open(appId?: string): Promise<FlowLine> {
    const { number, waba } = meta.world.addLine();
    const line = await addLine(room, { wabaId: waba.id, phoneNumberId: number.id });
    await newKey(line);
    const endpointUrl = `${room.url}/flows/${line.companyId}`;
    const app = appId === undefined ? {} : { appId };
    const { id } = meta.world.addFlow({ wabaId: waba.id, endpointUrl, ...app });
    return { ...line, flowId: id };
  }

  const press = (line: FlowLine, more: { token?: string; flowId?: string } = {}) =>
    meta.flows.open({
      phoneNumberId: line.phoneNumberId,
      from: ANN,
      flowId: line.flowId,
      token: "t",
      ...more,
    });

  /** Answers for the company on NATS; answers what it was asked. */
  function answer(line: Line, work: (asked: FlowRequest) => unknown): FlowRequest[] {
    const asked: FlowRequest[] = [];
    const companyId = parseCompanyId(line.companyId);
    assert.ok(companyId);
    bus.subscribe(
      askFlow(companyId),
      async (message) => {
        const request = JSON.parse(Buffer.from(message.data).toString()) as FlowRequest;
        asked.push(request);
        const reply = await work(request);
        if (reply !== undefined) message.respond(JSON.stringify(reply));
      },
      { queue: "handlers" },
    );
    return asked;
  }

  /** The server knows of a subscription once it has refused what was asked behind it. */
  const settled = () => bus.request("nobody.listens.here").catch(() => undefined);

  const close = async (): Promise<void> => {
    await bus.close();
    await meta.close();
    await room[Symbol.asyncDispose]();
  };
  return { room, meta, newKey, upload, setHandler, open, press, answer, settled, close };
}

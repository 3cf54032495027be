import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { companyUpdated, makeEvent, parseCompanyId } from "@manyline/contracts";
import { appendEvents, getCompany, inTransaction } from "@manyline/db";
import { addCompany, call, openWorld, type World } from "./support.ts";

/** As many streams as the pool of the company routes has connections. */
const STREAMS = 20;
let world: World;
const sockets: Socket[] = [];
before(async () => {
  world = await openWorld({ env: { STREAMS_PER_TOKEN: String(STREAMS) } });
});
after(async () => {
  for (const socket of sockets) socket.destroy();
  await world[Symbol.asyncDispose]();
});

test("readers that take nothing hold up nobody else", async () => {
  const [slow, other] = [await addCompany(world), await addCompany(world)];
  const first = await fill(slow.id);
  const { hostname, port } = new URL(world.url);
  for (let i = 0; i < STREAMS; i += 1) {
    const socket = connect(Number(port), hostname);
    socket.on("error", () => undefined);
    socket.pause();
    socket.write(
      `GET /api/whatsapp/sessions/${slow.id}/events HTTP/1.1\r\nHost: x\r\n` +
        `Authorization: Bearer ${slow.token}\r\nLast-Event-ID: ${first}\r\n\r\n`,
    );
    sockets.push(socket);
  }
  await new Promise((resolve) => setTimeout(resolve, 7_000));
  for (let i = 0; i < 5; i += 1) {
    const startedAt = performance.now();
    const answer = await call(world, "GET", `/api/whatsapp/sessions/${other.id}/status`, {
      token: other.token,
    });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    assert.ok(performance.now() - startedAt < 2_000);
  }
});

/** 20 MB of events: more than a loopback socket swallows by itself. Answers the id of the first. */
async function fill(id: string): Promise<string> {
  const companyId = parseCompanyId(id) ?? assert.fail();
  const ids: string[] = [];
  const { platformDb } = world.deps;
  await inTransaction(platformDb, async (tx) => {
    const company = (await getCompany(tx, companyId)) ?? assert.fail();
    const events = Array.from({ length: 100 }, () => {
      const event = makeEvent(
        companyUpdated,
        { companyId },
        {
          id,
          name: "x",
          country: null,
          language: "en",
          timezone: "UTC",
          whatsappEnabled: true,
          changed: ["x".repeat(200_000)],
        },
        { service: "test", at: new Date() },
      );
      ids.push(event.envelope.id);
      return { companyNo: company.companyNo, numberNo: null, event };
    });
    await appendEvents(tx, events);
  });
  return ids[0] ?? assert.fail();
}

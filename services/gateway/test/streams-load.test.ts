/** Streams under pressure: readers that take nothing, many at once, long gaps. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { after, before, test } from "node:test";
import { companyUpdated, makeEvent, parseCompanyId } from "@manyline/contracts";
import { appendEvents, getCompany, inTransaction, withCompany } from "@manyline/db";
import type { StoredEvent } from "@manyline/db";
import { until } from "@manyline/testkit";
import { SseReader } from "./sse-reader.ts";
import { addCompany, call, openWorld } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

const APP_POOL = 20;

let world: World;
before(async () => {
  world = await openWorld({ env: { STREAMS_PER_TOKEN: String(APP_POOL) } });
});
after(() => world[Symbol.asyncDispose]());

const path = (company: TestCompany): string => `/api/whatsapp/sessions/${company.id}/events`;

/** Commits events of the company without publishing them, each with `bytes` more than it needs. */
async function log(company: TestCompany, count: number, bytes = 0): Promise<StoredEvent[]> {
  const companyId = parseCompanyId(company.id);
  const row = await getCompany(world.deps.platformDb, company.id);
  if (!companyId || !row) throw new Error("no company");
  const events = Array.from({ length: count }, () => {
    const { envelope, natsSubject } = makeEvent(
      companyUpdated,
      { companyId },
      {
        id: company.id,
        name: "x",
        country: null,
        language: "en",
        timezone: "UTC",
        whatsappEnabled: true,
        changed: ["name"],
      },
      { service: "test", at: new Date() },
    );
    const data = { ...(envelope.data as object), more: "x".repeat(bytes) };
    const event = { natsSubject, envelope: { ...envelope, data } };
    return { companyNo: row.companyNo, numberNo: null, event };
  });
  return inTransaction(world.deps.platformDb, (tx) => appendEvents(tx, events));
}

/** Opens a stream and never reads a byte of it. */
function openDeaf(company: TestCompany, lastEventId: string): Socket {
  const socket = connect(Number(new URL(world.url).port), "127.0.0.1");
  socket.on("error", () => undefined);
  socket.pause();
  socket.write(
    `GET ${path(company)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${company.token}\r\n` +
      `last-event-id: ${lastEventId}\r\n\r\n`,
  );
  return socket;
}

test("readers that take nothing hold no connection of the pool", async () => {
  const company = await addCompany(world);
  const other = await addCompany(world);
  const [first] = await log(company, 1);
  assert.ok(first);
  // More than the buffers of a socket hold, so that every stream has to wait for its reader.
  for (let i = 0; i < 10; i += 1) await log(company, 6, 200_000);
  const sockets = Array.from({ length: APP_POOL }, () => openDeaf(company, first.eventId));
  try {
    await until(() => world.deps.streams.count === APP_POOL, { label: "all open" });
    for (let i = 0; i < 50; i += 1) {
      const status = `/api/whatsapp/sessions/${other.id}/status`;
      const answer = await call(world, "GET", status, { token: other.token });
      assert.equal(answer.status, 200, `request ${i}: ${JSON.stringify(answer.body)}`);
    }
    await using reader = await SseReader.open(`${world.url}${path(other)}`, {
      token: other.token,
    });
    await reader.next("snapshot");
  } finally {
    for (const socket of sockets) socket.destroy();
  }
  await until(() => world.deps.streams.count === 0, { label: "all left" });
});

test("streams are counted before anything is waited for", async () => {
  const company = await addCompany(world);
  const opened = Promise.withResolvers<void>();
  const blocked = Promise.withResolvers<void>();
  // All connections of the pool are busy: every opening has to wait for its company.
  let busy = 0;
  const holders = Array.from({ length: APP_POOL }, () =>
    withCompany(world.deps.appDb, 1, async () => {
      busy += 1;
      if (busy === APP_POOL) opened.resolve();
      await blocked.promise;
    }),
  );
  await opened.promise;
  const stop = new AbortController();
  try {
    const waiting = Array.from({ length: APP_POOL }, () =>
      fetch(`${world.url}${path(company)}`, {
        headers: { authorization: `Bearer ${company.token}` },
        signal: stop.signal,
      }).then(
        ({ status }) => status,
        () => 0,
      ),
    );
    await until(() => world.deps.streams.count === APP_POOL, { label: "all are counted" });
    const refused = await call(world, "GET", path(company), { token: company.token });
    assert.equal(refused.status, 429);
    blocked.resolve();
    await Promise.all(holders);
    assert.deepEqual(await Promise.all(waiting), Array(APP_POOL).fill(200));
  } finally {
    blocked.resolve();
    stop.abort();
  }
  await until(() => world.deps.streams.count === 0, { label: "all left" });
});

test("a stream that could not begin is no longer counted", async () => {
  const company = await addCompany(world);
  const refused = await call(world, "GET", `${path(company)}?number=nonsense`, {
    token: company.token,
  });
  assert.equal(refused.status, 404);
  assert.equal(world.deps.streams.count, 0);
});

test("many missed and many new events come once each, in their order", async () => {
  const company = await addCompany(world);
  const [first, ...missed] = await log(company, 351);
  assert.ok(first);
  await using reader = await SseReader.open(`${world.url}${path(company)}`, {
    token: company.token,
    headers: { "last-event-id": first.eventId },
  });
  const ids = (): (string | undefined)[] =>
    reader.messages.filter(({ event }) => event === "company.updated").map(({ id }) => id);
  await until(() => reader.events().filter((event) => event === "snapshot").length === 2);
  assert.deepEqual(
    ids(),
    missed.map(({ eventId }) => eventId),
  );
  const fresh = await log(company, 350);
  const last = fresh.at(-1);
  assert.ok(last);
  world.deps.bus.poke(last.natsSubject, JSON.stringify(last.envelope));
  await until(() => ids().length >= missed.length + fresh.length, { label: "all new ones" });
  const [another] = await log(company, 1);
  assert.ok(another);
  world.deps.bus.poke(another.natsSubject, JSON.stringify(another.envelope));
  await until(() => ids().at(-1) === another.eventId, { label: "one more" });
  assert.deepEqual(
    ids(),
    [...missed, ...fresh, another].map(({ eventId }) => eventId),
  );
});

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { withCompany } from "@manyline/db";
import { until } from "@manyline/testkit";
import { CommandRunner } from "../src/command-runner.ts";
import { Owner, numberNoOf } from "./owner.ts";
import { addCompany, addNumber, openWorld } from "./support.ts";
import type { World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

test("past the deadline: COMMAND_TIMEOUT, and what was not begun is dead", async () => {
  const company = await addCompany(world);
  const numberNo = await numberNoOf(world, await addNumber(world, company));
  const released = Promise.withResolvers<void>();
  await using owner = await new Owner(world).start(async () => {
    await released.promise;
    return { state: "done", result: { attemptId: "late" } };
  });
  const { companyNo } = await owner.number(numberNo);
  const { commands, appDb, platformDb } = world.deps;
  const number = { companyNo, numberNo };
  const queued = await withCompany(appDb, companyNo, async (tx) => [
    await commands.enqueue(tx, number, "pair_qr", {}, { deadlineMs: 600 }),
    await commands.enqueue(tx, number, "reconnect", {}, { deadlineMs: 600 }),
  ]);
  for (const command of queued) {
    await assert.rejects(commands.result(command), { code: "COMMAND_TIMEOUT" });
  }
  released.resolve();
  // The second one was still waiting: it is never carried out.
  await until(async () => {
    await owner.expire();
    const rows = await platformDb
      .selectFrom("commands")
      .select(["verb", "state"])
      .where("numberNo", "=", numberNo)
      .execute();
    return rows.find(({ verb }) => verb === "reconnect")?.state === "dead";
  });
  assert.deepEqual(
    owner.commands.filter((command) => command.numberNo === numberNo).map(({ verb }) => verb),
    ["pair_qr"],
  );
});

test("a poke brings the result at once", async () => {
  const company = await addCompany(world);
  const numberNo = await numberNoOf(world, await addNumber(world, company));
  await using owner = await new Owner(world).start(() => ({ state: "done", result: {} }));
  const { companyNo } = await owner.number(numberNo);
  const { commands, appDb } = world.deps;
  const startedAt = performance.now();
  const command = await withCompany(appDb, companyNo, (tx) =>
    commands.enqueue(tx, { companyNo, numberNo }, "reconnect", {}),
  );
  assert.deepEqual(await commands.result(command), {});
  assert.ok(performance.now() - startedAt < 2_000);
});

test("how long it took is told, once, with what became of it", async () => {
  const company = await addCompany(world);
  const numberNo = await numberNoOf(world, await addNumber(world, company));
  await using owner = await new Owner(world).start(({ verb }) => {
    if (verb === "reconnect") return { state: "done", result: {} };
    return verb === "unlink" ? { state: "failed", error: { code: "NOT_CONNECTED" } } : undefined;
  });
  const { companyNo } = await owner.number(numberNo);
  const { appDb, bus, clock } = world.deps;
  const told: string[] = [];
  const commandDone = (verb: string, outcome: string, ms: number): void => {
    assert.ok(ms >= 0 && ms < 10_000);
    told.push(`${verb} ${outcome}`);
  };
  const runner = new CommandRunner({ bus, db: appDb, clock, reports: { commandDone } });
  const number = { companyNo, numberNo };
  for (const verb of ["reconnect", "unlink", "pair_qr"] as const) {
    const command = await withCompany(appDb, companyNo, (tx) =>
      runner.enqueue(tx, number, verb, {}, { deadlineMs: 500 }),
    );
    await runner.result(command).catch(() => undefined);
  }
  const unanswered = told.pop();
  assert.deepEqual(told, ["reconnect done", "unlink failed"]);
  // Whoever notices first.
  assert.match(unanswered ?? "", /^pair_qr (timeout|dead)$/);
});

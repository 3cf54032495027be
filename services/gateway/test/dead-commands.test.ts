import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Command } from "@manyline/contracts";
import { listAudit, withCompany } from "@manyline/db";
import { until } from "@manyline/testkit";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { Owner, numberNoOf } from "./owner.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const PATH = "/api/whatsapp/commands";
const isCommands = Compile(Type.Array(Command));

function ask(method: string, path: string): Promise<Answer> {
  const body = method === "GET" ? undefined : {};
  return call(world, method, path, { token: ADMIN_TOKEN, body });
}

async function listed(query: string): Promise<Command[]> {
  const found = (await ask("GET", `${PATH}?${query}`)).body["commands"];
  assert.ok(isCommands.Check(found), JSON.stringify(isCommands.Errors(found)));
  return found;
}

/** Commands that an owner who hangs let die; the owner is gone afterwards. */
async function letDie(numberId: string, count: number): Promise<void> {
  const numberNo = await numberNoOf(world, numberId);
  await using owner = await new Owner(world).start(() => undefined);
  const { companyNo } = await owner.number(numberNo);
  await withCompany(world.deps.appDb, companyNo, async (tx) => {
    for (let i = 0; i < count; i += 1) {
      await world.deps.commands.enqueue(
        tx,
        { companyNo, numberNo },
        "reconnect",
        {},
        { deadlineMs: 300 },
      );
    }
  });
  const { platformDb } = world.deps;
  await until(async () => {
    const open = await platformDb
      .selectFrom("commands")
      .select("commandId")
      .where("numberNo", "=", numberNo)
      .where("state", "=", "dead")
      .execute();
    // Housekeeping, which is the workers' own, is not there: what is overdue dies by being looked at.
    if (open.length < count) await owner.expire();
    return open.length === count;
  });
}

test("dead commands are listed with the reason, newest first, and replayed as new ones", async () => {
  const company = await addCompany(world);
  const other = await addCompany(world);
  const numberId = await addNumber(world, company);
  await addNumber(world, other);
  await letDie(numberId, 3);

  const dead = await listed(`state=dead&company=${company.id}`);
  assert.equal(dead.length, 3);
  assert.ok(dead.every(({ reason, state }) => reason === "deadline" && state === "dead"));
  assert.ok(dead.every((one) => one.companyId === company.id && one.numberId === numberId));
  assert.deepEqual(
    dead.map(({ id }) => id),
    dead
      .map(({ id }) => id)
      .toSorted()
      .toReversed(),
  );
  assert.deepEqual(await listed(`state=dead&company=${other.id}`), []);
  const first = await ask("GET", `${PATH}?state=dead&limit=2`);
  assert.equal((first.body["commands"] as Command[]).length, 2);
  const rest = await listed(`state=dead&limit=2&before=${String(first.body["next"])}`);
  assert.deepEqual(
    rest.map(({ id }) => id),
    [dead[2]?.id],
  );

  const [one] = dead;
  assert.ok(one);
  const without = await ask("POST", `${PATH}/${one.id}/replay`);
  assert.equal(without.status, 503);
  assert.equal(without.body["code"], "NO_OWNER");

  await using owner = await new Owner(world).start(() => ({ state: "done", result: {} }));
  const replayed = await ask("POST", `${PATH}/${one.id}/replay`);
  assert.equal(replayed.status, 202, JSON.stringify(replayed.body));
  const command = record(replayed.body["command"]);
  assert.equal(command["replayOf"], one.id);
  assert.notEqual(command["id"], one.id);
  await until(async () => (await listed("state=done")).some(({ id }) => id === command["id"]));
  assert.equal(owner.commands.at(-1)?.verb, "reconnect");

  const again = await ask("POST", `${PATH}/${String(command["id"])}/replay`);
  assert.equal(again.status, 409);
  assert.equal(again.body["code"], "NOT_DEAD");
  const unknown = await ask("POST", `${PATH}/cmd_${"0".repeat(32)}/replay`);
  assert.equal(unknown.body["code"], "COMMAND_NOT_FOUND");
  const entries = await listAudit(world.deps.platformDb, null, { limit: 5 });
  const notes = entries.filter(({ action }) => action === "command.replayed");
  assert.deepEqual(
    notes.map(({ target }) => target),
    [one.id],
    "a refused replay is not noted",
  );
});

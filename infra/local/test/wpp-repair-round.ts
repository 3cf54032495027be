/** A stale row of a running system, found and mended by the operator's command; others stay as they are. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reachableDataDir, until } from "@manyline/testkit";
import { Client } from "pg";

type Cli = { ended: Promise<number>; output: () => string };
type Session = { server: string; session: string; organizationId: string | null; state: string };

export async function repairStale({
  env,
  cli,
}: {
  env: NodeJS.ProcessEnv;
  cli: (...args: string[]) => Cli;
}): Promise<void> {
  const data = env["MANYLINE_DATA"] ?? "";
  const token = readFileSync(join(data, "admin-token"), "utf8").trim();
  const folder = await reachableDataDir(join(data, "postgres"));
  const password = readFileSync(`${folder}.password`, "utf8").trim();
  const simulator = `http://127.0.0.1:${env["WPP_SIMULATOR_PORT"]}`;
  const add = async (body: object): Promise<{ number: string; session: string }> => {
    const url = `http://127.0.0.1:${env["GATEWAY_PORT"]}/api/whatsapp/sessions/962302/wpp`;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const told = Object(await answer.json()) as Record<string, unknown>;
    assert.equal(answer.status, 200, JSON.stringify(told));
    return { number: String(told["numberId"]), session: String(told["session"]) };
  };
  const sessions = async (): Promise<Session[]> => {
    const answer = await fetch(`${simulator}/control/state`);
    return (Object(await answer.json()) as { sessions: Session[] }).sessions;
  };
  const run = async (...args: string[]): Promise<string> => {
    const done = cli(...args);
    assert.equal(await done.ended, 0, done.output());
    return done.output();
  };
  const scanned = async ({ session }: { session: string }): Promise<void> => {
    const isShown = async () =>
      (await sessions()).some((one) => one.session === session && one.state === "qr");
    await until(isShown, { deadlineMs: 15_000, label: "the QR" });
    const answer = await fetch(`${simulator}/control/sessions/${session}/scan`, {
      method: "POST",
      body: JSON.stringify({ phone: `7900${session.slice(-7)}`.replaceAll(/\D/g, "0") }),
    });
    assert.equal(answer.status, 200);
  };

  const stale = await add({});
  const other = await add({ add_new: true });
  for (const one of [stale, other]) await scanned(one);
  const client = new Client({
    connectionString: `postgres://postgres:${password}@127.0.0.1:${env["POSTGRES_PORT"]}/manyline`,
  });
  await client.connect();
  try {
    const sql = `update numbers set settings = settings || '{"wppAccountNumber":"client_system"}' where number_id = $1`;
    await client.query(sql, [stale.number]);
  } finally {
    await client.end();
  }

  const shown = await run("wpp", "repair");
  assert.match(shown, new RegExp(`962302 +${stale.number} .*not yet`));
  assert.match(shown, /Nothing was changed/);
  assert.ok(!shown.includes(other.number));
  assert.match(await run("wpp", "repair", "--yes"), new RegExp(`${stale.number} .*session 0+3, `));
  assert.match(await run("wpp", "repair"), /There is nothing to repair/);
  const now = await sessions();
  const mended = now.find(({ session }) => session === "0000000000003");
  assert.match(String(mended?.organizationId), /^962302__wpp__[0-9a-f]{8}$/);
  await scanned({ session: "0000000000003" });
  await until(async () => {
    const states = (await sessions()).map(({ session, state }) => [session, state]);
    return Object.fromEntries(states)["0000000000003"] === "connected";
  });
  const lines = (await run("numbers", "962302")).split("\n");
  const left = lines.find((line) => line.startsWith(other.number));
  assert.match(left ?? "", /wpp_platform .* connected/);
}

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { freePort, until } from "@manyline/testkit";

type Json = Record<string, unknown>;
const MAIN = join(import.meta.dirname, "..", "src", "wpp", "main.ts");

async function call(url: string, body?: object, headers: Record<string, string> = {}) {
  const answer = await fetch(url, {
    headers,
    ...(body ? { method: "POST", body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
  return { status: answer.status, text, body: (isJson ? JSON.parse(text) : {}) as Json };
}

test("both servers as a process: people's side over HTTP; who has a number keeps it over a restart", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-wpp-"));
  const [port, connectPort] = [await freePort(), await freePort()];
  const [platform, connect] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${connectPort}`];
  const args = [`--port=${port}`, `--connect-port=${connectPort}`, `--state=${folder}/wpp.json`];
  const start = async (): Promise<ChildProcess> => {
    const env = { ...process.env, WPP_SECRET: "the-secret", WPPCONNECT_SECRET: "the-other" };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", 2] });
    await once(child.stdout ?? child, "data");
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  const bearer = (token: unknown) => ({ authorization: `Bearer ${String(token)}` });
  const act = (session: string, verb: string, body: object = {}) =>
    call(`${platform}/control/sessions/${session}/${verb}`, body);
  const states = async () => {
    const { sessions } = (await call(`${platform}/control/state`)).body;
    return Object.fromEntries((sessions as Json[]).map((one) => [one["session"], one["state"]]));
  };
  let child = await start();
  try {
    const create = () =>
      call(
        `${platform}/api/integrations/wpp/create`,
        { organizationId: "a" },
        bearer("the-secret"),
      );
    const made = (await create()).body;
    const session = String(made["session"]);
    const token = async () =>
      (await call(`${platform}/auth/token`, { apiKey: made["apiKey"] })).body["token"];
    const up = async () =>
      call(`${platform}/api/accounts/start`, { number: session }, bearer(await token()));
    await up();
    const other = async () =>
      (await call(`${connect}/api/s1/the-other/generate-token`, {})).body["token"];
    await call(`${connect}/api/s1/start-session`, {}, bearer(await other()));
    await until(async () => Object.values(await states()).every((state) => state === "qr"));

    assert.equal((await act("nobody", "scan", { phone: "79000000099" })).status, 409);
    assert.match((await act(session, "scan", { phone: "x" })).text, /digits of a phone/);
    assert.equal((await act(session, "fly")).status, 409);
    assert.equal((await act(session, "scan", { phone: "+7 900 000-00-99" })).status, 200);
    assert.equal((await act("s1", "scan", { phone: "5511900000099" })).status, 200);
    assert.deepEqual(await states(), { [session]: "connected", s1: "connected" });
    const text = { type: "text", to: "79000000001", text: "<b>good day</b>" };
    await call(`${platform}/api/messages/text`, text, bearer(await token()));
    assert.match((await act("s1", "say", { phone: "5511900000001", text: "oi" })).text, /false_/);
    const page = (await call(`${platform}/`)).text;
    assert.match(page, /&lt;b&gt;good day/);
    assert.ok(!page.includes(String(made["apiKey"])));
    await end(child);

    child = await start();
    assert.equal((await create()).body["apiKey"], made["apiKey"]);
    assert.equal((await up()).body["status"], "connected");
    await call(`${connect}/api/s1/start-session`, {}, bearer(await other()));
    await until(async () => Object.values(await states()).every((state) => state === "connected"));
    for (const [name, verb] of [
      [session, "offline"],
      ["s1", "logout"],
    ] as const) {
      assert.equal((await act(name, verb)).status, 200);
    }
    assert.deepEqual(await states(), { [session]: "offline", s1: "closed" });
  } finally {
    await end(child);
    await rm(folder, { recursive: true });
  }
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../refusal.ts";
import { fakeScreen, run } from "./testing.ts";
import { COMMANDS } from "../commands.ts";
import type { Followed, Rest } from "../rest.ts";

const PATH = "/api/whatsapp/companies/acme/tokens";

test("tokens lists, makes and ends", async () => {
  const token = {
    id: "00112233aabbccdd",
    name: "first",
    kind: "api",
    scopes: ["read", "send"],
    expiresAt: null,
    createdAt: new Date().toISOString(),
  };
  const listed = await run("tokens acme", { [`GET ${PATH}`]: { tokens: [token] } });
  assert.match(listed.lines.join("\n"), /00112233aabbccdd +first +api +read,send/);
  const json = await run("tokens acme --json", { [`GET ${PATH}`]: { tokens: [token] } });
  assert.deepEqual(JSON.parse(json.lines.join("")), [token]);
  const made = await run("tokens acme --add crm --scopes read", {
    [`POST ${PATH}`]: { token: "mly_a_1" },
  });
  assert.deepEqual(made.lines, ["mly_a_1"]);
  assert.deepEqual(made.asked[0]?.body, { name: "crm", scopes: ["read"] });
  const ended = await run("tokens acme --revoke 00112233aabbccdd", {
    [`DELETE ${PATH}/00112233aabbccdd`]: { success: true },
  });
  assert.deepEqual(ended.lines, ["00112233aabbccdd works no more."]);
  for (const words of ["tokens", "tokens acme --scopes read", "tokens acme --add x --revoke y"]) {
    await assert.rejects(run(words, {}), Refusal, words);
  }
});

test("companies, numbers and status answer programs as well", async () => {
  const companies = [{ id: "acme", name: "Acme", phone: null, whatsappEnabled: true }];
  const answer = { companies, next: null };
  const { lines } = await run("companies --json", { "GET /api/whatsapp/companies": answer });
  assert.deepEqual(JSON.parse(lines.join("")), companies);
  const numbers = { "GET /api/whatsapp/companies/acme/numbers": { numbers: [] } };
  assert.deepEqual((await run("numbers acme --json", numbers)).lines, ["[]"]);
  const status = await run("status acme --json", {
    "GET /api/whatsapp/sessions/acme/status": { companyId: "acme" },
    "GET /api/whatsapp/sessions": { sessions: [], next: null },
  });
  const said: unknown = JSON.parse(status.lines.join(""));
  assert.deepEqual(said, { status: { companyId: "acme" }, sessions: [] });
});

test("events tail shows what it is asked for, until the stream ends", async () => {
  const envelope = { time: "2026-01-01T00:00:00Z", numberid: "num_1", data: { text: "hello" } };
  const paths: string[] = [];
  const rest: Rest = () => Promise.reject(new Error("nothing is asked"));
  rest.follow = async function* (path): AsyncGenerator<Followed> {
    paths.push(path);
    yield await Promise.resolve({ event: "snapshot", data: "{}" });
    yield { event: "session.connected", data: JSON.stringify(envelope) };
    yield { event: "message.received", data: JSON.stringify(envelope) };
    yield { event: "ended", data: "{}" };
  };
  const tail = async (...args: string[]) => {
    const { screen, shown } = fakeScreen();
    const lines = (await COMMANDS.get("events")?.run(rest, args, screen)) ?? [];
    return { shown: shown(), lines };
  };
  const words = ["tail", "acme", "--type", "message.", "--number", "num_1"];
  const { shown, lines } = await tail(...words);
  assert.equal(shown, '2026-01-01T00:00:00Z  num_1  message.received  {"text":"hello"}\n');
  assert.match(lines.join(""), /ended/);
  assert.deepEqual(paths, ["/api/whatsapp/sessions/acme/events?number=num_1"]);
  const whole = await tail("tail", "acme", "--json");
  assert.equal(whole.shown, `${JSON.stringify(envelope)}\n`.repeat(2));
  await assert.rejects(tail("acme"), Refusal);
});

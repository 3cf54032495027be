import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../refusal.ts";
import { run } from "./testing.ts";

const number = (id: string, session?: string | null, isPrimary = false): object => ({
  id,
  isPrimary,
  ...(session === undefined ? {} : { wpp: { server: "wpp_platform", session } }),
});
const answers: Record<string, unknown> = {
  "GET /api/whatsapp/companies": { companies: [{ id: "acme" }, { id: "zeta" }], next: null },
  "GET /api/whatsapp/companies/acme/numbers": {
    numbers: [
      number("num_1", "client_system", true),
      number("num_2", "0000000000001"),
      number("num_3"),
      number("num_4", null),
    ],
  },
  "GET /api/whatsapp/companies/zeta/numbers": { numbers: [number("num_5", "client_system")] },
};

test("wpp repair shows what it would do, and changes nothing", async () => {
  const { lines, asked } = await run("wpp repair", answers);
  assert.match(lines.join("\n"), /acme +num_1 +yes +not yet\nzeta +num_5 +no +not yet\n/);
  assert.match(lines.at(-1) ?? "", /Nothing was changed.*2 numbers.*--yes/);
  assert.ok(asked.every(({ method }) => method === "GET"));
  const none = await run("wpp repair acme", {
    "GET /api/whatsapp/companies/acme/numbers": { numbers: [number("num_2", "x")] },
  });
  assert.deepEqual(none.lines, ["There is nothing to repair."]);
});

test("wpp repair --yes gives each a new session, by its own number, and goes on after one that fails", async () => {
  const { lines, asked, hasFailed } = await run("wpp repair --yes", {
    ...answers,
    "POST /api/whatsapp/sessions/acme/wpp": { status: "error", error: "no room", session: null },
    "POST /api/whatsapp/sessions/zeta/wpp": { status: "qr_issued", session: "0000000000009" },
  });
  assert.deepEqual(
    asked.filter(({ method }) => method === "POST"),
    ["acme/wpp?number=num_1", "zeta/wpp?number=num_5"].map((path) => ({
      method: "POST",
      path: `/api/whatsapp/sessions/${path}`,
      body: { force_recreate: true },
    })),
  );
  assert.match(
    lines.join("\n"),
    /num_1 .*failed: no room\n.*num_5 .*session 0000000000009, qr_issued/,
  );
  assert.ok(hasFailed);
});

test("wpp repair --json is for programs; other words are refused", async () => {
  const { lines } = await run("wpp repair zeta --json", answers);
  assert.deepEqual(JSON.parse(lines.join("")), [
    { companyId: "zeta", numberId: "num_5", isPrimary: false, outcome: "not yet" },
  ]);
  for (const words of ["wpp", "wpp mend", "wpp repair acme zeta", "wpp repair --now"]) {
    await assert.rejects(run(words, answers), Refusal, words);
  }
});

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { isAlive, until } from "../src/index.ts";

const PROGRAM = `
import { startNats, startPostgres, startRedis } from ${JSON.stringify(new URL("../src/index.ts", import.meta.url).href)};
const servers = await Promise.all([startPostgres(), startNats(), startRedis()]);
const facts = servers.map(({ pid, dir }) => ({ pid, dir }));
process.stdout.write(JSON.stringify(facts) + "\\n");
if (process.argv[1] === "stay") setInterval(() => {}, 1000);
`;

async function startAndReport(
  mode: string,
): Promise<{ child: ReturnType<typeof spawn>; facts: { pid: number; dir: string }[] }> {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = await once(child.stdout, "data");
  return { child, facts: JSON.parse(String(line)) };
}

for (const mode of ["stay", "leave"]) {
  const how = mode === "stay" ? "is killed" : "ends without stopping them";
  test(`servers and their folders go when the process that started them ${how}`, async () => {
    const { child, facts } = await startAndReport(mode);
    assert.equal(facts.length, 3);
    if (mode === "stay") {
      assert.ok(facts.every(({ pid }) => isAlive(pid)));
      child.kill("SIGKILL");
    } else {
      // The servers must not keep it alive either.
      const [code] = child.exitCode === null ? await once(child, "exit") : [child.exitCode];
      assert.equal(code, 0);
    }
    await until(() => facts.every(({ pid }) => !isAlive(pid)), { label: "end of the servers" });
    await until(() => facts.every(({ dir }) => !existsSync(dir)), { label: "end of the folders" });
  });
}

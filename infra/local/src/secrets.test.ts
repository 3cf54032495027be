import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { dataPaths } from "./paths.ts";
import { loadSecrets } from "./secrets.ts";

test("secrets are made once, readable only by their owner, and a damaged file is not replaced", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-secrets-"));
  const paths = dataPaths(folder);
  try {
    const first = await loadSecrets(paths);
    assert.deepEqual(await loadSecrets(paths), first);
    assert.equal(Buffer.from(first.kek.split(":")[1] ?? "", "base64").length, 32);
    for (const file of [paths.secrets, paths.adminToken]) {
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    }
    await writeFile(paths.secrets, "{");
    await assert.rejects(loadSecrets(paths), /damaged/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

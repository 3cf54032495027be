import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findTool, MissingToolError, requireTool } from "./tools.ts";

test("a tool is found on the given PATH, and only when it can be run", async () => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-tools-"));
  try {
    const path = join(folder, "manyline-tool");
    await writeFile(path, "#!/bin/sh\n");
    assert.equal(findTool("manyline-tool", { PATH: folder }), undefined);
    await chmod(path, 0o755);
    assert.equal(findTool("manyline-tool", { PATH: folder }), path);
    assert.equal(await requireTool("manyline-tool", { env: { PATH: folder } }), path);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a tool that no package has is refused in one sentence", async () => {
  await assert.rejects(requireTool("no-such-manyline-tool"), (error: unknown) => {
    assert.ok(error instanceof MissingToolError);
    assert.match(error.message, /^no-such-manyline-tool is missing[^\n]+$/);
    return true;
  });
});

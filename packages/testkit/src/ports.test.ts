import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { answers, assertPortFree, freePort, isPortTaken, PortInUseError } from "./ports.ts";

test("a port is free, then taken, and a taken one is refused by its number", async () => {
  const port = await freePort();
  assert.equal(await isPortTaken(port), false);
  await assertPortFree("Postgres", port);

  const server = createServer((socket) => socket.end("INFO {}"));
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  try {
    assert.equal(await isPortTaken(port), true);
    await assert.rejects(assertPortFree("Postgres", port), (error: unknown) => {
      assert.ok(error instanceof PortInUseError);
      assert.match(error.message, new RegExp(`port ${port}, wanted for Postgres`));
      return true;
    });
    assert.equal(await answers(port, "INFO {"), true);
    assert.equal(await answers(port, "+PONG"), false);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  assert.equal(await answers(port, "INFO {"), false);
});

import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { test } from "node:test";
import { explainStartError, runService, ServiceStopping } from "./lifecycle.ts";
import type { ProcessLike, ServiceScope } from "./lifecycle.ts";
import { createLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";

type FakeProcess = ProcessLike & { emit(event: string, value?: unknown): void; exits: number[] };

function fakeProcess(): FakeProcess {
  const emitter = new EventEmitter();
  const exits: number[] = [];
  return {
    exitCode: undefined,
    exits,
    on: (event, listener) => emitter.on(event, listener),
    off: (event, listener) => emitter.off(event, listener),
    exit: (code) => exits.push(code),
    emit: (event, value) => emitter.emit(event, value),
  };
}

function recorder(): { logger: Logger; states: () => unknown[]; text: () => string } {
  let text = "";
  const destination = {
    write(line: string): void {
      text += line;
    },
  };
  return {
    logger: createLogger({ service: "s", version: "1", level: "debug", destination }),
    text: () => text,
    states: () =>
      text
        .trim()
        .split("\n")
        .map((line) => (JSON.parse(line) as Record<string, unknown>)["state"])
        .filter((state) => state !== undefined),
  };
}

test("SIGTERM stops in reverse order and leaves exit code 0", async () => {
  const host = fakeProcess();
  const log = recorder();
  const order: string[] = [];
  let signal: AbortSignal | undefined;
  const service = await runService({
    name: "s",
    logger: log.logger,
    process: host,
    start: (scope) => {
      signal = scope.signal;
      scope.defer("database", () => order.push("database"));
      scope.defer("bus", async () => {
        await Promise.resolve();
        order.push("bus");
      });
      scope.defer("http", () => order.push("http"));
    },
  });
  assert.equal(service.state, "RUNNING");
  host.emit("SIGTERM");
  assert.equal(service.state, "STOPPING");
  assert.ok(signal?.reason instanceof ServiceStopping);
  await service.ended;
  assert.deepEqual(order, ["http", "bus", "database"]);
  assert.equal(host.exitCode, undefined);
  assert.deepEqual(host.exits, []);
  assert.deepEqual(log.states(), ["STARTING", "RUNNING", "STOPPING", "STOPPED"]);
});

test("a step that fails or hangs does not keep the others from running", async () => {
  const host = fakeProcess();
  const log = recorder();
  const order: string[] = [];
  const service = await runService({
    name: "s",
    logger: log.logger,
    process: host,
    start: (scope) => {
      scope.defer("last", () => order.push("last"));
      scope.defer("hangs", () => new Promise(() => undefined), { timeoutMs: 10 });
      scope.defer("fails", () => {
        throw new Error("no");
      });
    },
  });
  await service.stop();
  await service.stop();
  assert.deepEqual(order, ["last"]);
  assert.match(log.text(), /"step":"fails".*stopping step failed/);
  assert.match(log.text(), /"step":"hangs".*took too long/);
});

test("a start that fails closes what was open and ends with code 1", async () => {
  const host = fakeProcess();
  const log = recorder();
  const order: string[] = [];
  const service = await runService({
    name: "s",
    logger: log.logger,
    process: host,
    start: (scope) => {
      scope.defer("database", () => order.push("database"));
      throw new Error("no bus");
    },
  });
  assert.equal(service.state, "FAILED");
  assert.deepEqual(order, ["database"]);
  assert.equal(host.exitCode, 1);
  assert.match(log.text(), /"level":"fatal".*no bus/);
});

for (const event of ["uncaughtException", "unhandledRejection"]) {
  test(`${event} is logged as fatal and ends with code 1`, async () => {
    const host = fakeProcess();
    const log = recorder();
    const service = await runService({
      name: "s",
      logger: log.logger,
      process: host,
      start: () => undefined,
    });
    host.emit(event, new Error("surprise"));
    await service.ended;
    assert.equal(service.state, "FAILED");
    assert.equal(host.exitCode, 1);
    assert.match(log.text(), /"level":"fatal".*surprise/);
  });
}

test("a stop during the start is no failure", async () => {
  const host = fakeProcess();
  const log = recorder();
  let scope: ServiceScope | undefined;
  const running = runService({
    name: "s",
    logger: log.logger,
    process: host,
    start: async (given) => {
      scope = given;
      await new Promise((_resolve, reject) => {
        given.signal.addEventListener("abort", () => reject(given.signal.reason as Error));
      });
    },
  });
  host.emit("SIGINT");
  const service = await running;
  assert.equal(service.state, "STOPPED");
  assert.equal(scope?.state, "STOPPED");
  assert.equal(host.exitCode, undefined);
});

test("a second signal ends the process at once", async () => {
  const host = fakeProcess();
  const log = recorder();
  const gate = Promise.withResolvers<void>();
  const service = await runService({
    name: "s",
    logger: log.logger,
    process: host,
    start: (scope) => scope.defer("slow", () => gate.promise),
  });
  host.emit("SIGTERM");
  host.emit("SIGTERM");
  assert.deepEqual(host.exits, [1]);
  gate.resolve();
  await service.ended;
});

test("mistakes of an operator are one sentence", () => {
  const inUse = Object.assign(new Error("listen"), { code: "EADDRINUSE", port: 3000 });
  assert.equal(
    explainStartError(inUse),
    "Port 3000 is in use by another process; free it or set another port.",
  );
  assert.equal(explainStartError(new Error("else")), undefined);
});

test("a rejection that is bearable is logged, any other ends the service", async () => {
  const host = fakeProcess();
  const log = recorder();
  const service = await runService({
    name: "s",
    logger: log.logger,
    process: host,
    isBearable: (error) => error instanceof RangeError,
    start: () => undefined,
  });
  host.emit("unhandledRejection", new RangeError("of one connection"));
  assert.equal(service.state, "RUNNING");
  assert.match(log.text(), /going on/);
  host.emit("unhandledRejection", new Error("of ours"));
  await service.ended;
  assert.equal(service.state, "FAILED");
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertLimits, readLimits, TooSmallError } from "./machine.ts";

const AMPLE = { openFiles: 20_000, ports: [32_768, 60_999] as [number, number], memory: 2 ** 34 };
const NEEDS = { sockets: 10_000, ports: 12_000, memory: 2 ** 32 };

test("each limit that is too small is one sentence that says what to do", () => {
  assertLimits(AMPLE, NEEDS);
  assert.throws(() => assertLimits({ ...AMPLE, openFiles: 1_024 }, NEEDS), {
    name: "TooSmallError",
    message: /1024 files.*ulimit -n 10300/,
  });
  assert.throws(() => assertLimits({ ...AMPLE, ports: [50_000, 51_000] }, NEEDS), TooSmallError);
  assert.throws(() => assertLimits({ ...AMPLE, memory: 2 ** 30 }, NEEDS), /4\.0 GiB/);
});

test("the limits of this machine can be read", () => {
  const { openFiles, ports } = readLimits();
  assert.ok(openFiles > 0);
  assert.ok(ports[0] < ports[1]);
});

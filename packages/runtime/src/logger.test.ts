import assert from "node:assert/strict";
import { test } from "node:test";
import { createLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";

const SECRETS = ["K7MP-2XQ9", "mly_live_abc", "79001234567", "hunter2"];

function capture(): { logger: Logger; lines: () => Record<string, unknown>[]; text: () => string } {
  let written = "";
  const destination = {
    write(line: string): void {
      written += line;
    },
  };
  const logger = createLogger({
    service: "gateway",
    version: "1.2.3",
    level: "trace",
    destination,
  });
  return {
    logger,
    text: () => written,
    lines: () =>
      written
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

test("writes one JSON object per line with the agreed fields", () => {
  const { logger, lines } = capture();
  const parent = logger.child({ component: "relay" });
  parent.child({ shard: 7 }).info({ company_id: "962302", duration_ms: 3 }, "published");
  const [line] = lines();
  assert.deepEqual(
    { ...line, time: "" },
    {
      level: "info",
      time: "",
      service: "gateway",
      version: "1.2.3",
      component: "relay",
      shard: 7,
      company_id: "962302",
      duration_ms: 3,
      msg: "published",
    },
  );
  assert.match(String(line?.["time"]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test("no way of logging lets a secret through", () => {
  const { logger, text, lines } = capture();
  const code = "K7MP-2XQ9";
  const error = Object.assign(new Error(`no ${code} for +79001234567`), {
    code: "E1",
    request: { headers: { authorization: "Bearer hunter2" } },
  });
  logger.info(`code ${code}`);
  logger.info("code %s and %j", code, { password: "hunter2" });
  logger.info({ code, phone: "79001234567" }, `sent to +79001234567`);
  logger.info({ deep: { error } }, "x");
  logger.error(error);
  logger.error(error, `failed with ${code}`);
  logger.error({ err: error });
  logger.error({ error }, "y");
  logger.error({ err: error.message }, "z");
  logger.warn({ url: "https://x.test/?token=hunter2" }, "mly_live_abc");
  logger.child({ token: "hunter2", note: code, jid: "79001234567@s.whatsapp.net" }).info("child");
  logger.info({ err: new Error("a", { cause: error }) }, "cause");
  logger.info({ err: new AggregateError([error], "several") }, "aggregate");
  logger.info([code, "79001234567@lid"], "array");
  for (const secret of SECRETS) assert.ok(!text().includes(secret), `${secret} in ${text()}`);
  assert.equal(lines().length, 14);
});

test("errors stand under err with type, message, stack and code", () => {
  const { logger, lines } = capture();
  logger.error({ err: Object.assign(new RangeError("too far"), { code: "E_FAR" }) }, "failed");
  const err = lines()[0]?.["err"] as Record<string, unknown>;
  assert.equal(err["type"], "RangeError");
  assert.equal(err["message"], "too far");
  assert.equal(err["code"], "E_FAR");
  assert.match(String(err["stack"]), /^RangeError: too far\n +at /);
});

test("an error without a text is still one readable line", () => {
  const { logger, lines } = capture();
  logger.error(new Error("boom"));
  logger.error({ err: new Error("boom") });
  assert.deepEqual(
    lines().map((line) => line["msg"]),
    ["boom", "error"],
  );
});

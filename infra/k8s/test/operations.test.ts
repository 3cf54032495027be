import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { describeConfig } from "@manyline/runtime";
import { COMMANDS } from "../../local/src/commands.ts";
import { ACCESS } from "../../../services/gateway/src/access.ts";
import { configTable } from "../../../services/gateway/src/config.ts";
import { configTable as ingestTable } from "../../../services/webhook-ingest/src/config.ts";
import { configTable as notifierTable } from "../../../services/notifier/src/config.ts";
import { buildConfig } from "../../../services/session-worker/src/config.ts";
import { render, ROOT } from "./manifests.ts";
import { settingsOf } from "./settings.ts";

const page = await readFile(join(ROOT, "docs/operations.md"), "utf8");

const read = (file: string): Promise<string> => readFile(join(ROOT, file), "utf8");
const CODE = [
  "services/gateway/src",
  "services/session-worker/src",
  "services/notifier/src",
  "services/webhook-ingest/src",
  "packages",
].flatMap((room) =>
  readdirSync(join(ROOT, room), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts") && !file.includes("node_modules"))
    .filter((file) => !file.endsWith(".test.ts"))
    .map((file) => join(room, file)),
);
const code = (await Promise.all(CODE.map(read))).join("\n");

/** All that stands between backticks. */
const quoted = [...page.matchAll(/`([^`\n]+)`/g)].map(([, text = ""]) => text);

describe("docs/operations.md is true", () => {
  test("its commands exist", () => {
    const named = [...page.matchAll(/npm run manyline -- ([\w-]+)/g)].map(([, name = ""]) => name);
    assert.ok(named.length > 10);
    for (const name of named) assert.ok(name === "help" || COMMANDS.has(name), name);
  });

  test("its routes exist", () => {
    const routes = quoted.filter((text) => /^(?:GET|POST|DELETE|PATCH) \//.test(text));
    assert.ok(routes.length > 10);
    for (const route of routes) assert.ok(route in ACCESS, route);
  });

  test("its variables exist", () => {
    const known = new Set([
      ...[...configTable(), ...notifierTable()].map(({ name }) => name),
      ...describeConfig(buildConfig).map(({ name }) => name),
      "MANYLINE_VERSION",
      "MANYLINE_URL",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]);
    const variables = quoted.flatMap((text) => /^([A-Z]+_[A-Z_]+)(?:=\d+)?$/.exec(text)?.[1] ?? []);
    const codes = new Set(["NO_OWNER", "COMMAND_TIMEOUT"]);
    for (const name of variables) {
      if (codes.has(name)) assert.ok(code.includes(`${name}:`), name);
      else assert.ok(known.has(name), name);
    }
  });

  test("its metrics exist", () => {
    const metrics = quoted
      .map((text) => text.replace(/\{.*$/, ""))
      .filter((text) =>
        /^(?:manyline|gateway|ingest|webhook|http|process|event_loop)_\w+$/.test(text),
      );
    assert.ok(metrics.length > 10);
    for (const metric of metrics) {
      const name = metric.replace(/_total$/, "").replace(/_(?:seconds|bytes)$/, "");
      assert.ok(code.includes(`"${name}"`), metric);
    }
  });

  test("its log events exist", () => {
    const [, section = ""] = page.split("| `event` | means |");
    const rows = section.split("\n\n")[0] ?? "";
    const events = [...rows.matchAll(/`([a-z]+\.[a-z_]+)`/g)].map(([, name = ""]) => name);
    assert.ok(events.length > 15);
    for (const name of events) assert.ok(code.includes(`"${name}"`), name);
  });

  test("its pool sizes are those of the code", async () => {
    const usual = Number(
      /max: options\.poolSize \?\? (\d+)/.exec(await read("packages/db/src/open.ts"))?.[1],
    );
    const worker = await read("services/session-worker/src/service.ts");
    const calls = [...worker.matchAll(/= openDatabase\(\{([^}]*)\}/g)].map(([, body = ""]) => body);
    const ofWorker = calls.map((body) => Number(/poolSize: (\d+)/.exec(body)?.[1] ?? usual));
    const gateway = await read("services/gateway/src/deps.ts");
    const ofGateway = [...gateway.matchAll(/open\("\w+", (\d+)\)/g)].map(([, size]) =>
      Number(size),
    );
    const sum = (sizes: number[]): number => sizes.reduce((total, size) => total + size, 0);
    assert.equal(ofWorker.length, 3);
    assert.equal(ofGateway.length, 3);
    assert.match(page, new RegExp(`\\| session-worker \\| ${sum(ofWorker)} \\|`));
    assert.match(page, new RegExp(`\\| gateway \\| ${sum(ofGateway)} \\|`));
    const lanes = Number(ingestTable().find(({ name }) => name === "COMMIT_LANES")?.default);
    assert.match(page, new RegExp(`\\| webhook-ingest \\| ${lanes + 4 + 2} \\|`));
    const notifier = await read("services/notifier/src/deps.ts");
    const pools = [/const POOL = (\d+)/, /NOTICES_POOL = (\d+)/, /poolSize: (\d+)/].map((size) =>
      Number(size.exec(notifier)?.[1]),
    );
    assert.match(page, new RegExp(`\\| notifier \\| ${sum(pools)} \\|`));
    assert.ok(
      page.includes(`${sum(ofWorker)} × (workers + 1) + ${sum(ofGateway)} × (gateways + 1)`),
    );
  });

  test("its figures of stopping are those of the manifests", async () => {
    const manifests = await render("production");
    const graceOf = (name: string): number =>
      manifests.podsOf(name).spec.terminationGracePeriodSeconds ?? 0;
    const settings = settingsOf(manifests, "session-worker");
    const handOver = Number(settings.get("DRAIN_TIMEOUT_MS")) / 1_000;
    assert.ok(page.includes(`| grace time of a worker | ${graceOf("session-worker")} s |`));
    assert.ok(page.includes(`| of it for the hand-over | ${handOver} s |`));
    assert.ok(page.includes(`| grace time of the gateway | ${graceOf("gateway")} s |`));
  });

  test("its links lead somewhere", async () => {
    for (const [, link = ""] of page.matchAll(/\]\(([^)#]+)\)/g)) {
      assert.ok((await read(join("docs", link))).length > 0, link);
    }
  });
});

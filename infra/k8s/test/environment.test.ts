import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parsePasswords } from "../../../packages/db/src/migrate-main.ts";
import { DB_ROLES, loginOf } from "@manyline/db";
import { describeConfig } from "@manyline/runtime";
import { configTable, envToConfig as gatewayConfig } from "../../../services/gateway/src/config.ts";
import {
  buildConfig,
  envToConfig as workerConfig,
} from "../../../services/session-worker/src/config.ts";
import {
  configTable as ingestTable,
  envToConfig as ingestConfig,
} from "../../../services/webhook-ingest/src/config.ts";
import {
  configTable as notifierTable,
  envToConfig as notifierConfig,
} from "../../../services/notifier/src/config.ts";
import type { Manifests } from "./manifests.ts";
import { containerOf, OVERLAYS, render, ROOT } from "./manifests.ts";
import { settingsOf, variablesOf } from "./settings.ts";

/** Read by the telemetry, which is loaded before a service and has variables of its own. */
const TELEMETRY = new Set(["OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_ENDPOINT"]);

const dev = await render("dev");

const SERVICES = [
  { name: "gateway", table: configTable(), read: gatewayConfig },
  { name: "session-worker", table: describeConfig(buildConfig), read: workerConfig },
  { name: "webhook-ingest", table: ingestTable(), read: ingestConfig },
  { name: "notifier", table: notifierTable(), read: notifierConfig },
] as const;

/** With the secrets of the dev overlay where an overlay leaves them to a person. */
function environmentOf(manifests: Manifests, name: string): Map<string, string> {
  const pods = manifests.podsOf(name);
  const secrets = settingsOf(dev, name);
  const pairs = variablesOf(manifests, pods, containerOf(pods, name)).flatMap((each) => {
    const value = each.source === "secret" ? secrets.get(each.name) : each.value;
    return value === undefined ? [] : [[each.name, value] as const];
  });
  return new Map(pairs);
}

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  for (const { name, table, read } of SERVICES) {
    describe(`${name}, ${overlay}`, () => {
      const environment = environmentOf(manifests, name);
      const pods = manifests.podsOf(name);
      const variables = variablesOf(manifests, pods, containerOf(pods, name));

      test("every variable that the service needs is there", () => {
        const missing = table.filter((row) => row.isRequired && !environment.has(row.name));
        assert.deepEqual(
          missing.map((row) => row.name),
          [],
        );
      });

      test("no variable is given that the service does not know", () => {
        const known = new Set([...table.map((row) => row.name), ...TELEMETRY]);
        assert.deepEqual(
          variables.map((each) => each.name).filter((each) => !known.has(each)),
          [],
        );
      });

      test("the service takes its environment", () => {
        // The root key of the simulated WhatsApp comes by a file, see overlays/dev.
        const key = environment.has("WA_URL") ? { WA_ROOT_KEY: "ab".repeat(32) } : {};
        assert.ok(read({ ...Object.fromEntries(environment), ...key }));
      });

      test("what is secret comes from the Secret, and what protects a secret is never a setting", () => {
        for (const row of table) {
          const isSecret = row.isSecret || /^DATABASE_|^REDIS_URL$/.test(row.name);
          const source = variables.find((each) => each.name === row.name)?.source;
          if (isSecret) assert.equal(source, "secret", row.name);
          else assert.notEqual(source, "secret", row.name);
        }
      });

      test("it listens where Kubernetes asks", () => {
        const host = environment.get("HOST") ?? environment.get("HEALTH_HOST");
        assert.equal(host, "0.0.0.0");
      });
    });
  }

  test(`${overlay}: a database login each, and the owner's only for the migrations`, () => {
    const rolesOf = (name: string): string[] =>
      variablesOf(manifests, manifests.podsOf(name), manifests.main(name))
        .flatMap((each) => /^DATABASE_(\w+)_URL$/.exec(each.name)?.[1]?.toLowerCase() ?? [])
        .toSorted();
    assert.deepEqual(rolesOf("migrate"), ["owner"]);
    assert.deepEqual(rolesOf("gateway"), ["app", "platform", "relay"]);
    assert.deepEqual(rolesOf("session-worker"), ["relay", "worker"]);
    assert.deepEqual(rolesOf("webhook-ingest"), ["ingest", "relay"]);
    assert.deepEqual(rolesOf("notifier"), ["notify", "relay"]);
  });
}

describe("make-secrets.sh", () => {
  const migrate = settingsOf(dev, "migrate");
  const passwords = parsePasswords(migrate.get("MANYLINE_DB_PASSWORDS"));
  const urls = new Map(SERVICES.flatMap(({ name }) => Array.from(settingsOf(dev, name))));

  for (const role of DB_ROLES) {
    test(`role ${role} logs in with the password that the migrations give it`, () => {
      const url = new URL(urls.get(`DATABASE_${role.toUpperCase()}_URL`) ?? "");
      assert.equal(url.username, loginOf(role));
      assert.equal(url.password, passwords[role]);
      assert.ok(url.password.length >= 32);
    });
  }

  test("the owner is the user that Postgres makes", () => {
    const owner = new URL(migrate.get("DATABASE_OWNER_URL") ?? "");
    const postgres = settingsOf(dev, "postgres");
    assert.equal(owner.username, postgres.get("POSTGRES_USER"));
    assert.equal(owner.password, postgres.get("POSTGRES_PASSWORD"));
    assert.equal(owner.pathname, `/${postgres.get("POSTGRES_DB")}`);
  });
});

test("no secret is in a file of this folder, nor outside the Secret when rendered", async () => {
  const [secret] = dev.of("Secret");
  const values = Object.values(secret?.data ?? {});
  assert.ok(values.length >= 9);
  const rest = JSON.stringify(dev.all.filter((each) => each.kind !== "Secret"));
  for (const base64 of values) {
    const value = Buffer.from(base64, "base64").toString("utf8");
    // The address of Redis has no password here, and the files are in a folder.
    if (value === "redis://redis:6379" || value === "/media") continue;
    assert.ok(!rest.includes(value));
  }
  const production = await render("production");
  assert.deepEqual(production.of("Secret"), []);
  assert.doesNotMatch(production.text, /:\/\/[^\s/]+:[^\s/]+@/);
  const ignored = await readFile(join(ROOT, "infra/k8s/.gitignore"), "utf8");
  assert.match(ignored, /^secrets\.env$/m);
  const outside = await readFile(join(ROOT, ".dockerignore"), "utf8");
  assert.match(outside, /^\*\*\/secrets\.env$/m);
});

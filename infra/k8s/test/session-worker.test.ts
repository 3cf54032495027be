import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { HEALTH_PATHS } from "@manyline/runtime";
import { OVERLAYS, render, ROOT } from "./manifests.ts";
import { settingsOf } from "./settings.ts";

/** What the process takes beside the hand-over: its own steps, and 3 s until runService ends it by force. */
const main = await readFile(join(ROOT, "services/session-worker/src/main.ts"), "utf8");
const restMs = Number(/STOP_MS = ([\d_]+);/.exec(main)?.[1]?.replaceAll("_", "")) + 3_000;

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  const deployment = manifests.one("Deployment", "session-worker");
  const pods = manifests.podsOf("session-worker");
  const container = manifests.main("session-worker");
  const probes = {
    startup: container.startupProbe,
    readiness: container.readinessProbe,
    liveness: container.livenessProbe,
  };

  describe(`session-worker, ${overlay}`, () => {
    test("is rolled out one at a time, the new one first", () => {
      assert.deepEqual(deployment.spec?.strategy, {
        type: "RollingUpdate",
        rollingUpdate: { maxSurge: 1, maxUnavailable: 0 },
      });
      assert.ok((deployment.spec?.minReadySeconds ?? 0) > 0);
      assert.ok((deployment.spec?.replicas ?? 0) >= 2);
    });

    test("its grace time is numbers / open rate + 30 s", () => {
      const capacity = Number(settingsOf(manifests, "session-worker").get("WORKER_CAPACITY"));
      const rate = Number(deployment.metadata?.annotations?.["manyline.dev/open-rate"]);
      assert.ok(capacity > 0 && rate > 0);
      assert.equal(pods.spec.terminationGracePeriodSeconds, Math.ceil(capacity / rate) + 30);
    });

    test("a hand-over at that rate fits its own limit, and all of the stopping fits the grace time", () => {
      const settings = settingsOf(manifests, "session-worker");
      const handOverMs = Number(settings.get("DRAIN_TIMEOUT_MS"));
      const rate = Number(deployment.metadata?.annotations?.["manyline.dev/open-rate"]);
      assert.ok(handOverMs >= (Number(settings.get("WORKER_CAPACITY")) / rate) * 1_000);
      const graceMs = (pods.spec.terminationGracePeriodSeconds ?? 0) * 1_000;
      assert.ok(handOverMs + restMs <= graceMs, `${handOverMs} + ${restMs} of ${graceMs} ms`);
    });

    test("begins to leave at once: nothing runs before SIGTERM", () => {
      assert.equal(container.lifecycle, undefined);
    });

    test("its probes ask paths that it answers, on the port that it opens", () => {
      const health = container.ports?.find(({ name }) => name === "health");
      assert.equal(
        settingsOf(manifests, "session-worker").get("HEALTH_PORT"),
        String(health?.containerPort),
      );
      for (const [name, probe] of Object.entries(probes)) {
        assert.ok(
          HEALTH_PATHS.some((path) => path === probe?.httpGet?.path),
          name,
        );
        assert.equal(probe?.httpGet?.port, "health", name);
      }
    });

    test("liveness and startup ask for the process alone, readiness for its work", () => {
      assert.equal(probes.startup?.httpGet?.path, "/health/live");
      assert.equal(probes.liveness?.httpGet?.path, "/health/live");
      assert.equal(probes.readiness?.httpGet?.path, "/health/ready");
    });

    test("liveness is patient with a busy process: a minute at least", () => {
      const { periodSeconds = 10, failureThreshold = 3 } = probes.liveness ?? {};
      assert.ok(periodSeconds * failureThreshold >= 60);
    });

    test("readiness waits longer than a check of the service may take, which is a second", () => {
      assert.ok((probes.readiness?.timeoutSeconds ?? 1) > 1);
    });

    test("knows its host and its generation by the downward API", () => {
      const fieldOf = (name: string): string | undefined =>
        container.env?.find((variable) => variable.name === name)?.valueFrom?.fieldRef?.fieldPath;
      assert.equal(fieldOf("WORKER_HOST"), "metadata.name");
      const path = fieldOf("WORKER_GENERATION") ?? "";
      const annotation = /^metadata\.annotations\['(.+)'\]$/.exec(path)?.[1] ?? "";
      assert.match(pods.annotations[annotation] ?? "", /^\d+$/);
    });

    test("is not slowed down by a limit on CPU, and has one on memory", () => {
      assert.equal(container.resources?.limits?.["cpu"], undefined);
      assert.ok(container.resources?.limits?.["memory"]);
      assert.ok(container.resources?.requests?.["cpu"]);
    });
  });
}

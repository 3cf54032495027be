import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HEALTH_PATHS } from "@manyline/runtime";
import { accessOf } from "../../../services/gateway/src/access.ts";
import { OVERLAYS, render } from "./manifests.ts";
import { settingsOf } from "./settings.ts";

/** What a process takes to stop at most, by runService's own limits: 25 s for its steps, 3 s to run empty. */
const STOP_SECONDS = 28;

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  const container = manifests.main("gateway");
  const deployment = manifests.one("Deployment", "gateway");

  describe(`gateway, ${overlay}`, () => {
    test("goes on answering until it is out of the Service, and then has time to finish", () => {
      const [program, seconds] = container.lifecycle?.preStop?.exec?.command ?? [];
      assert.equal(program, "sleep");
      const grace = deployment.spec?.template.spec?.terminationGracePeriodSeconds ?? 0;
      assert.ok(grace >= Number(seconds) + STOP_SECONDS, `${grace} s`);
    });

    test("is never fewer than asked for during a rollout", () => {
      assert.deepEqual(deployment.spec?.strategy?.rollingUpdate, {
        maxSurge: 1,
        maxUnavailable: 0,
      });
    });

    test("its probes ask open paths that exist, on the port that it opens", () => {
      const { startupProbe, readinessProbe, livenessProbe } = container;
      for (const probe of [startupProbe, readinessProbe, livenessProbe]) {
        const path = probe?.httpGet?.path ?? "";
        assert.ok(
          HEALTH_PATHS.some((known) => known === path),
          path,
        );
        assert.equal(accessOf("GET", path)?.kind, "public");
        assert.equal(probe?.httpGet?.port, "http");
      }
      assert.equal(startupProbe?.httpGet?.path, "/health/live");
      assert.equal(livenessProbe?.httpGet?.path, "/health/live");
      assert.equal(readinessProbe?.httpGet?.path, "/health/ready");
      const http = container.ports?.find(({ name }) => name === "http");
      assert.equal(settingsOf(manifests, "gateway").get("PORT"), String(http?.containerPort));
    });

    test("cookies are Secure wherever it is not somebody's own machine", () => {
      const url = new URL(settingsOf(manifests, "gateway").get("PUBLIC_URL") ?? "");
      assert.ok(url.protocol === "https:" || url.hostname === "127.0.0.1", url.href);
    });
  });
}

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Labels, Manifests } from "./manifests.ts";
import { allContainers, OVERLAYS, render } from "./manifests.ts";

function matches(selector: Labels | undefined, labels: Labels): boolean {
  const pairs = Object.entries(selector ?? {});
  return pairs.length > 0 && pairs.every(([key, value]) => labels[key] === value);
}

/** The selectors in the manifests, but for those of network policies. */
function selectorsOf(manifests: Manifests): { of: string; name: string; labels: Labels }[] {
  const budgets = manifests.of("PodDisruptionBudget").map((each) => ({
    of: "PodDisruptionBudget",
    name: each.metadata?.name ?? "",
    labels: each.spec?.selector?.matchLabels ?? {},
  }));
  const services = manifests.of("Service").map((each) => ({
    of: "Service",
    name: each.metadata?.name ?? "",
    labels: each.spec?.selector ?? {},
  }));
  const workloads = [...manifests.of("Deployment"), ...manifests.of("StatefulSet")];
  const owners = workloads.map((each) => ({
    of: each.kind,
    name: each.metadata?.name ?? "",
    labels: each.spec?.selector.matchLabels ?? {},
  }));
  return [...budgets, ...services, ...owners];
}

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);

  describe(`pods, ${overlay}`, () => {
    for (const pods of manifests.pods) {
      test(`${pods.name} runs with as little as it needs`, () => {
        const { spec } = pods;
        assert.equal(spec.automountServiceAccountToken, false);
        assert.equal(spec.enableServiceLinks, false, "variables of other services stay out");
        assert.equal(spec.securityContext?.runAsNonRoot, true);
        assert.ok((spec.securityContext?.runAsUser ?? 0) > 0);
        assert.deepEqual(spec.securityContext?.seccompProfile, { type: "RuntimeDefault" });
        for (const container of allContainers(pods)) {
          assert.deepEqual(container.securityContext, {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          });
          assert.ok(container.resources?.requests?.["memory"], "requests");
          assert.ok(container.resources?.limits?.["memory"], "limits");
          // The tag :latest would be another image on another day.
          assert.match(container.image ?? "", /:(?!latest$)[\w.-]+$/);
        }
      });

      test(`${pods.name} has every volume that it mounts, and mounts all it has`, () => {
        const claims =
          "volumeClaimTemplates" in (pods.workload.spec ?? {}) &&
          pods.workload.kind === "StatefulSet"
            ? (pods.workload.spec?.volumeClaimTemplates ?? [])
            : [];
        const there = [
          ...(pods.spec.volumes ?? []).map(({ name }) => name),
          ...claims.map(({ metadata }) => metadata?.name ?? ""),
        ];
        const mounted = allContainers(pods).flatMap((each) =>
          (each.volumeMounts ?? []).map(({ name }) => name),
        );
        assert.deepEqual([...new Set(mounted)].toSorted(), there.toSorted());
        for (const { configMap } of pods.spec.volumes ?? []) {
          if (!configMap) continue;
          const maps = manifests.of("ConfigMap").map(({ metadata }) => metadata?.name);
          assert.ok(maps.includes(configMap.name), configMap.name);
        }
      });
    }

    for (const selector of selectorsOf(manifests)) {
      test(`the ${selector.of} ${selector.name} selects its own pods and no others`, () => {
        const found = manifests.pods.filter(({ labels }) => matches(selector.labels, labels));
        assert.deepEqual(
          found.map(({ name }) => name),
          [selector.name],
        );
      });
    }

    test("every Service leads to a port that its pods open by that name", () => {
      for (const service of manifests.of("Service")) {
        const pods = manifests.podsOf(service.metadata?.name ?? "");
        const ports = allContainers(pods).flatMap((each) => each.ports ?? []);
        const names = new Set(ports.map(({ name }) => name));
        for (const { targetPort } of service.spec?.ports ?? []) {
          assert.ok(names.has(String(targetPort)), `${pods.name}: ${String(targetPort)}`);
        }
      }
    });

    for (const name of ["gateway", "session-worker", "webhook-ingest", "notifier"]) {
      test(`${name} is spread over nodes and zones, and a drained node takes one at a time`, () => {
        const { spec, labels } = manifests.podsOf(name);
        const spread = spec.topologySpreadConstraints ?? [];
        assert.deepEqual(
          spread.map(({ topologyKey }) => topologyKey),
          ["kubernetes.io/hostname", "topology.kubernetes.io/zone"],
        );
        for (const { labelSelector, whenUnsatisfiable } of spread) {
          assert.ok(matches(labelSelector?.matchLabels, labels));
          assert.equal(whenUnsatisfiable, "ScheduleAnyway", "a full node must not stop a rollout");
        }
        assert.equal(manifests.one("PodDisruptionBudget", name).spec?.maxUnavailable, 1);
      });
    }
  });
}

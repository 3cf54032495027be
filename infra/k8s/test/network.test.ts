import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { INetworkPolicyPeer } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicyPeer";
import type { INetworkPolicySpec } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicySpec";
import type { Labels, Manifests } from "./manifests.ts";
import { OVERLAYS, render } from "./manifests.ts";
import { settingsOf } from "./settings.ts";

type Selector = NonNullable<INetworkPolicySpec["podSelector"]>;
type Direction = "Egress" | "Ingress";
/** Where a connection goes or comes from. */
type Other = { readonly labels: Labels } | { readonly namespace: Labels } | "anywhere";

function selects(selector: Selector | undefined, labels: Labels): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  const isEqual = Object.entries(matchLabels).every(([key, value]) => labels[key] === value);
  return (
    isEqual &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      assert.equal(operator, "In", "no other operator is understood here");
      return values.includes(labels[key] ?? "");
    })
  );
}

function fits(peers: readonly INetworkPolicyPeer[] | undefined, other: Other): boolean {
  if (peers === undefined) return true;
  return peers.some((peer) => {
    if (other === "anywhere") return peer.ipBlock !== undefined;
    if ("namespace" in other) {
      return (
        peer.namespaceSelector !== undefined && selects(peer.namespaceSelector, other.namespace)
      );
    }
    return peer.podSelector !== undefined && selects(peer.podSelector, other.labels);
  });
}

/** Whether the policies let the pods open (Egress) or accept (Ingress) a TCP connection. */
function isAllowed(
  manifests: Manifests,
  direction: Direction,
  labels: Labels,
  port: number,
  other: Other,
): boolean {
  return manifests.of("NetworkPolicy").some(({ spec }) => {
    if (!selects(spec?.podSelector, labels)) return false;
    const rules =
      direction === "Egress"
        ? (spec?.egress ?? []).map((rule) => ({ ports: rule.ports, peers: rule.to }))
        : (spec?.ingress ?? []).map((rule) => ({ ports: rule.ports, peers: rule.from }));
    return rules.some(
      ({ ports, peers }) =>
        fits(peers, other) &&
        (ports ?? []).some((each) => each.port === port && (each.protocol ?? "TCP") === "TCP"),
    );
  });
}

/** Every server that the pods are told of in their settings. */
function serversOf(manifests: Manifests, name: string): URL[] {
  const found = [...settingsOf(manifests, name)].flatMap(([variable, value]) =>
    variable !== "PUBLIC_URL" && variable.endsWith("_URL")
      ? value.split(",").map((part) => new URL(part))
      : [],
  );
  return found;
}

const dev = await render("dev");
const SERVICES = ["gateway", "session-worker", "webhook-ingest", "notifier", "migrate"];

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  describe(`network, ${overlay}`, () => {
    test("whatever no policy allows is refused, in both directions, for every pod", () => {
      const deny = manifests.one("NetworkPolicy", "default-deny").spec;
      assert.deepEqual(deny?.podSelector, {});
      assert.deepEqual(deny?.policyTypes, ["Ingress", "Egress"]);
      assert.equal(deny?.ingress, undefined);
      assert.equal(deny?.egress, undefined);
    });

    test("every policy but that one speaks of pods that exist", () => {
      for (const { metadata, spec } of manifests.of("NetworkPolicy")) {
        const chosen = manifests.pods.filter(({ labels }) => selects(spec?.podSelector, labels));
        assert.ok(chosen.length > 0, metadata?.name);
      }
    });

    for (const name of SERVICES) {
      test(`${name} may ask for names and reach the servers it is told of`, () => {
        const { labels } = manifests.podsOf(name);
        const dns = { namespace: { "kubernetes.io/metadata.name": "kube-system" } };
        assert.ok(isAllowed(manifests, "Egress", labels, 53, dns));
        const servers = serversOf(manifests, name);
        for (const { port, hostname } of servers) {
          const target = manifests.pods.find((pods) => pods.name === hostname);
          const other = target ? { labels: target.labels } : "anywhere";
          assert.ok(isAllowed(manifests, "Egress", labels, Number(port), other), hostname);
        }
      });
    }

    test("only workers, gateway and webhooks reach the outside, and nothing private under its port", () => {
      for (const { name, labels } of manifests.pods) {
        const isOut = isAllowed(manifests, "Egress", labels, 443, "anywhere");
        const mayOut = ["session-worker", "gateway", "webhook-ingest", "notifier"].includes(name);
        assert.equal(isOut, mayOut, name);
      }
      const [rule] = manifests.one("NetworkPolicy", "to-the-outside").spec?.egress ?? [];
      const spared = new Set((rule?.to ?? []).flatMap(({ ipBlock }) => ipBlock?.except ?? []));
      for (const range of ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"]) {
        assert.ok(spared.has(range), range);
      }
    });

    test("gateway and webhooks are open to all, the workers' health only to what watches", () => {
      const gateway = manifests.podsOf("gateway").labels;
      const worker = manifests.podsOf("session-worker").labels;
      const port = Number(settingsOf(manifests, "session-worker").get("HEALTH_PORT"));
      const watcher = { namespace: { "kubernetes.io/metadata.name": "monitoring" } };
      const ingest = manifests.podsOf("webhook-ingest").labels;
      assert.ok(isAllowed(manifests, "Ingress", gateway, 3000, "anywhere"));
      assert.ok(isAllowed(manifests, "Ingress", ingest, 3020, "anywhere"));
      const notifier = manifests.podsOf("notifier").labels;
      assert.ok(isAllowed(manifests, "Ingress", notifier, 3030, watcher));
      assert.ok(!isAllowed(manifests, "Ingress", notifier, 3030, "anywhere"));
      assert.ok(isAllowed(manifests, "Ingress", worker, port, watcher));
      assert.ok(!isAllowed(manifests, "Ingress", worker, port, "anywhere"));
      assert.ok(!isAllowed(manifests, "Ingress", worker, port, { labels: gateway }));
    });
  });
}

describe("the servers of the dev overlay", () => {
  test("let in those that are told of them, and only those", () => {
    const servers = dev.pods.filter(({ name }) => !SERVICES.includes(name));
    assert.equal(servers.length, 5);
    for (const { name: server, labels } of servers) {
      const service = dev.one("Service", server).spec?.ports?.[0]?.port ?? 0;
      for (const client of dev.pods) {
        const told = SERVICES.includes(client.name)
          ? serversOf(dev, client.name).some(({ hostname }) => hostname === server)
          : false;
        const isIn = isAllowed(dev, "Ingress", labels, service, { labels: client.labels });
        assert.equal(isIn, told, `${client.name} to ${server}`);
      }
      assert.ok(!isAllowed(dev, "Ingress", labels, service, "anywhere"), server);
    }
  });
});

import assert from "node:assert/strict";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { Manifests, Pods } from "./manifests.ts";
import { containerOf } from "./manifests.ts";

export type Source = "field" | "manifest" | "secret" | "setting";

export type Variable = {
  readonly name: string;
  readonly source: Source;
  /** undefined: an optional key that this overlay does not set. */
  readonly value: string | undefined;
};

/** The variables of a container as the kubelet would set them; a reference into nothing is an error. */
export function variablesOf(manifests: Manifests, pods: Pods, container: IContainer): Variable[] {
  assert.equal(container.envFrom, undefined, `${container.name} takes all of something`);
  return (container.env ?? []).map((variable): Variable => {
    const { name, value, valueFrom } = variable;
    if (value !== undefined) return { name, source: "manifest", value };
    const setting = valueFrom?.configMapKeyRef;
    if (setting) {
      const map = manifests.of("ConfigMap").find((each) => each.metadata?.name === setting.name);
      assert.ok(map, `${name}: no ConfigMap ${setting.name}`);
      const found = map.data?.[setting.key];
      assert.ok(found !== undefined || setting.optional === true, `${name} is set nowhere`);
      return { name, source: "setting", value: found };
    }
    const secret = valueFrom?.secretKeyRef;
    if (secret) return { name, source: "secret", value: secretOf(manifests, secret) };
    const path = valueFrom?.fieldRef?.fieldPath ?? "";
    const annotation = /^metadata\.annotations\['(.+)'\]$/.exec(path)?.[1];
    const field = annotation === undefined ? undefined : pods.annotations[annotation];
    assert.ok(path === "metadata.name" || field !== undefined, `${name}: no field ${path}`);
    return { name, source: "field", value: field ?? `${pods.name}-6d4cf56db6-x7k2p` };
  });
}

/** The variables by name, of the container that is called like its workload. */
export function settingsOf(manifests: Manifests, name: string): Map<string, string> {
  const pods = manifests.podsOf(name);
  const variables = variablesOf(manifests, pods, containerOf(pods, name));
  return new Map(
    variables.flatMap((each) => (each.value === undefined ? [] : [[each.name, each.value]])),
  );
}

/**
 * The value from the Secret that the overlay makes. Where it makes none, a person does; its keys are those that
 * make-secrets.sh prints, so a stand-in is looked up in the rendered dev overlay by the caller.
 */
function secretOf(
  manifests: Manifests,
  ref: { name?: string; key: string; optional?: boolean },
): string | undefined {
  const secrets = manifests.of("Secret");
  if (secrets.length === 0) return undefined;
  const secret = secrets.find((each) => each.metadata?.name === ref.name);
  assert.ok(secret, `no Secret ${ref.name}`);
  const data = secret.data?.[ref.key];
  assert.ok(data !== undefined || ref.optional === true, `${ref.key} is not in the Secret`);
  return data === undefined ? undefined : Buffer.from(data, "base64").toString("utf8");
}

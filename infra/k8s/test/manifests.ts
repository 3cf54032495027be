import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { requireTool } from "@manyline/testkit";
import type { IDeployment } from "kubernetes-models/apps/v1/Deployment";
import type { IStatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { IJob } from "kubernetes-models/batch/v1/Job";
import type { INetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import type { IPodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import type { IConfigMap } from "kubernetes-models/v1/ConfigMap";
import type { IContainer } from "kubernetes-models/v1/Container";
import type { INamespace } from "kubernetes-models/v1/Namespace";
import type { IPersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import type { IPodSpec } from "kubernetes-models/v1/PodSpec";
import type { ISecret } from "kubernetes-models/v1/Secret";
import type { IService } from "kubernetes-models/v1/Service";
import { parseAllDocuments } from "yaml";

const run = promisify(execFile);

export const ROOM = dirname(import.meta.dirname);
export const ROOT = dirname(dirname(ROOM));
export const OVERLAYS = ["dev", "production"] as const;
export type Overlay = (typeof OVERLAYS)[number];

/** The kinds that the manifests use; another one is refused until it is known here. */
export type Manifest =
  | IConfigMap
  | IDeployment
  | IJob
  | INamespace
  | INetworkPolicy
  | IPersistentVolumeClaim
  | IPodDisruptionBudget
  | ISecret
  | IService
  | IStatefulSet;

export type Labels = Readonly<Record<string, string>>;

/** A kind of pod, from the workload that makes it. */
export type Pods = {
  readonly workload: IDeployment | IJob | IStatefulSet;
  readonly name: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly spec: IPodSpec;
};

/** What `kubectl apply -k` would send, from a copy of this folder with fresh secrets. */
export class Manifests {
  readonly text: string;
  readonly all: readonly Manifest[];

  constructor(text: string) {
    this.text = text;
    const documents = parseAllDocuments(text);
    assert.ok(Array.isArray(documents), "nothing was rendered");
    // Whether they are what their kind says is the business of schemas.test.ts.
    this.all = documents.map((document) => withoutLineBreaks(document.toJS() as Manifest));
  }

  /** By the name in the files; what kustomize makes has a hash behind it. */
  one<Kind extends Manifest["kind"]>(kind: Kind, name: string): Extract<Manifest, { kind: Kind }> {
    const isIt = (each: Manifest): each is Extract<Manifest, { kind: Kind }> =>
      each.kind === kind && each.metadata?.name?.replace(/-[a-z0-9]{10}$/, "") === name;
    const [found, ...more] = this.all.filter(isIt);
    assert.ok(found !== undefined && more.length === 0, `${kind} ${name}: one was expected`);
    return found;
  }

  of<Kind extends Manifest["kind"]>(kind: Kind): Extract<Manifest, { kind: Kind }>[] {
    const isIt = (each: Manifest): each is Extract<Manifest, { kind: Kind }> => each.kind === kind;
    return this.all.filter(isIt);
  }

  get pods(): Pods[] {
    const workloads = [...this.of("Deployment"), ...this.of("StatefulSet"), ...this.of("Job")];
    return workloads.map((workload) => {
      const template = workload.spec?.template;
      assert.ok(template?.spec, `${workload.kind} without pods`);
      return {
        workload,
        name: workload.metadata?.name ?? "",
        labels: template.metadata?.labels ?? {},
        annotations: template.metadata?.annotations ?? {},
        spec: template.spec,
      };
    });
  }

  podsOf(name: string): Pods {
    const found = this.pods.find((pods) => pods.name === name);
    assert.ok(found, `no pods called ${name}`);
    return found;
  }

  /** The container that is called like its workload. */
  main(name: string): IContainer {
    return containerOf(this.podsOf(name), name);
  }
}

/** Newer kustomizes break long base64 into lines. Kubernetes reads over that; the schema's format does not. */
function withoutLineBreaks(manifest: Manifest): Manifest {
  if (manifest.kind !== "Secret") return manifest;
  const data = Object.entries(manifest.data ?? {}).map(([key, value]) => [
    key,
    value.replaceAll("\n", ""),
  ]);
  return { ...manifest, data: Object.fromEntries(data) };
}

export function containerOf(pods: Pods, name: string): IContainer {
  const found = pods.spec.containers.find((container) => container.name === name);
  assert.ok(found, `${pods.name} has no container ${name}`);
  return found;
}

export function allContainers({ spec }: Pods): IContainer[] {
  return [...(spec.initContainers ?? []), ...spec.containers];
}

export async function kubectl(): Promise<string> {
  return requireTool("kubectl");
}

/** A copy of the manifests with secrets of its own, as a person who follows the README has it. */
export async function copyWithSecrets(): Promise<{ folder: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "manyline-k8s-"));
  for (const part of ["base", "overlays", "deploy.sh"]) {
    await cp(join(ROOM, part), join(folder, part), { recursive: true });
  }
  const dev = join(folder, "overlays", "dev");
  const { stdout } = await run("sh", [join(dev, "make-secrets.sh")]);
  await writeFile(join(dev, "secrets.env"), stdout);
  return {
    folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const rendered = new Map<Overlay, Promise<Manifests>>();

export function render(overlay: Overlay): Promise<Manifests> {
  const known = rendered.get(overlay);
  if (known) return known;
  const made = renderNow(overlay);
  rendered.set(overlay, made);
  return made;
}

async function renderNow(overlay: Overlay): Promise<Manifests> {
  await using copy = await copyWithSecrets();
  const path = join(copy.folder, "overlays", overlay);
  const { stdout } = await run(await kubectl(), ["kustomize", path], { maxBuffer: 16 << 20 });
  return new Manifests(stdout);
}

import { execFile } from "node:child_process";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ConfigMap } from "kubernetes-models/v1/ConfigMap";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { Job } from "kubernetes-models/batch/v1/Job";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PersistentVolumeClaim } from "kubernetes-models/v1/PersistentVolumeClaim";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Secret } from "kubernetes-models/v1/Secret";
import { Service } from "kubernetes-models/v1/Service";
import { StatefulSet } from "kubernetes-models/apps/v1/StatefulSet";
import type { Manifest } from "./manifests.ts";
import { ROOM, ROOT } from "./manifests.ts";

const run = promisify(execFile);

/** Where the model of each kind is; kind and version together. */
const MODULES: Readonly<Record<string, string>> = {
  "v1 ConfigMap": "v1/ConfigMap",
  "v1 Namespace": "v1/Namespace",
  "v1 PersistentVolumeClaim": "v1/PersistentVolumeClaim",
  "v1 Secret": "v1/Secret",
  "v1 Service": "v1/Service",
  "apps/v1 Deployment": "apps/v1/Deployment",
  "apps/v1 StatefulSet": "apps/v1/StatefulSet",
  "batch/v1 Job": "batch/v1/Job",
  "networking.k8s.io/v1 NetworkPolicy": "networking.k8s.io/v1/NetworkPolicy",
  "policy/v1 PodDisruptionBudget": "policy/v1/PodDisruptionBudget",
};

/** What the OpenAPI schema of its kind says against a manifest: values, required fields, formats. */
export function schemaProblems(manifest: Manifest): string[] {
  try {
    modelOf(manifest).validate();
    return [];
  } catch (error) {
    return [`${nameOf(manifest)}: ${error instanceof Error ? error.message : String(error)}`];
  }
}

function modelOf(manifest: Manifest): { validate(): void } {
  switch (manifest.kind) {
    case "ConfigMap":
      return new ConfigMap(manifest);
    case "Deployment":
      return new Deployment(manifest);
    case "Job":
      return new Job(manifest);
    case "Namespace":
      return new Namespace(manifest);
    case "NetworkPolicy":
      return new NetworkPolicy(manifest);
    case "PersistentVolumeClaim":
      return new PersistentVolumeClaim(manifest);
    case "PodDisruptionBudget":
      return new PodDisruptionBudget(manifest);
    case "Secret":
      return new Secret(manifest);
    case "Service":
      return new Service(manifest);
    case "StatefulSet":
      return new StatefulSet(manifest);
    default:
      return unknownKind(manifest);
  }
}

function unknownKind(manifest: never): never {
  throw new Error(`no schema for ${JSON.stringify(manifest).slice(0, 80)}`);
}

function nameOf(manifest: Manifest): string {
  return `${manifest.kind} ${manifest.metadata?.name}`;
}

/**
 * Fields that Kubernetes does not know. Its schemas let them pass, the API server drops them silently: a mistyped
 * `terminationGracePeriodSeconds` would do nothing. The types made from the same schemas know every field, so
 * each manifest is written as a literal and given to the compiler, which takes no field it has not heard of.
 */
export async function unknownFields(manifests: readonly Manifest[]): Promise<string[]> {
  // Below the real temporary folder: the compiler names files by their real paths.
  const folder = await realpath(await mkdtemp(join(tmpdir(), "manyline-k8s-types-")));
  try {
    const models = join(ROOM, "node_modules", "kubernetes-models");
    const lines = manifests.flatMap((manifest, index) => {
      const module = MODULES[`${manifest.apiVersion} ${manifest.kind}`];
      if (module === undefined) return [`unknownKind(${JSON.stringify(nameOf(manifest))});`];
      return [
        `import type { I${manifest.kind} as T${index} } from ${JSON.stringify(`${models}/${module}.js`)};`,
        `export const m${index}: T${index} = ${JSON.stringify(manifest, undefined, 1)};`,
      ];
    });
    await writeFile(join(folder, "manifests.ts"), lines.join("\n"));
    const options = { strict: true, noEmit: true, skipLibCheck: true, types: [] };
    await writeFile(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: { ...options, module: "esnext", moduleResolution: "bundler" },
        files: ["manifests.ts"],
      }),
    );
    const compiler = join(ROOT, "node_modules", "typescript", "bin", "tsc");
    const result = await run(process.execPath, [compiler, "-p", folder, "--pretty", "false"]).catch(
      (error: unknown) => error,
    );
    return outputOf(result)
      .split("\n")
      .filter((line) => line !== "");
  } finally {
    await rm(folder, { recursive: true });
  }
}

function outputOf(result: unknown): string {
  if (typeof result !== "object" || result === null) return String(result);
  const [stdout = "", stderr = ""] = ["stdout", "stderr"].map((name) => {
    const value: unknown = Object.getOwnPropertyDescriptor(result, name)?.value;
    return typeof value === "string" ? value : "";
  });
  const isCompilerError = /error TS/.test(stdout);
  if (result instanceof Error && !isCompilerError) return `${result.message}\n${stderr}`;
  return stdout;
}

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { copyWithSecrets, kubectl, Manifests, OVERLAYS } from "./manifests.ts";

const run = promisify(execFile);

/** Runs deploy.sh with a kubectl that renders truly and otherwise only notes what it was asked. */
async function deploy(overlay: string): Promise<{ calls: string[]; applied: Manifests }> {
  await using copy = await copyWithSecrets();
  const { folder } = copy;
  const bin = join(folder, "bin");
  await mkdir(bin);
  const script = `#!/bin/sh
case "$1" in
  kustomize) exec "${await kubectl()}" "$@" ;;
  apply) cp "$3" "${folder}/applied.yaml" ;;
esac
echo "$@" >>"${folder}/calls"
`;
  await writeFile(join(bin, "kubectl"), script);
  await chmod(join(bin, "kubectl"), 0o755);
  await run("sh", [join(folder, "deploy.sh"), join(folder, "overlays", overlay)], {
    env: { ...process.env, PATH: `${bin}:${process.env["PATH"]}` },
  });
  const calls = await readFile(join(folder, "calls"), "utf8");
  return {
    calls: calls.trim().split("\n"),
    applied: new Manifests(await readFile(join(folder, "applied.yaml"), "utf8")),
  };
}

for (const overlay of OVERLAYS) {
  test(`deploy.sh ${overlay}: servers and settings, migrations to their end, then the services`, async () => {
    const { calls } = await deploy(overlay);
    const steps = calls.map((call) => call.replace(/--filename \S+/, "FILE"));
    const services = "(gateway,session-worker,webhook-ingest,notifier)";
    assert.deepEqual(steps, [
      "--namespace manyline delete job migrate --ignore-not-found",
      `apply FILE --selector app.kubernetes.io/component notin ${services}`,
      "--namespace manyline wait job/migrate --for=condition=complete --timeout=600s",
      `apply FILE --selector app.kubernetes.io/component in ${services}`,
      "--namespace manyline rollout status deployment/gateway",
      "--namespace manyline rollout status deployment/session-worker",
      "--namespace manyline rollout status deployment/webhook-ingest",
      "--namespace manyline rollout status deployment/notifier",
    ]);
  });

  test(`deploy.sh ${overlay}: the generation is the time, so each rollout has a higher one`, async () => {
    const before = Math.floor(Date.now() / 1000);
    const { applied } = await deploy(overlay);
    const annotation = applied.podsOf("session-worker").annotations["manyline.dev/generation"];
    const generation = Number(annotation);
    assert.ok(generation >= before && generation <= Date.now() / 1000, annotation);
  });
}

test("what the second step of deploy.sh leaves out is of the services alone", async () => {
  const { applied } = await deploy("dev");
  const services = new Set(["gateway", "session-worker", "webhook-ingest", "notifier"]);
  for (const { kind, metadata } of applied.all) {
    const component = metadata?.labels?.["app.kubernetes.io/component"];
    const isLast = component !== undefined && services.has(component);
    const name = metadata?.name ?? "";
    assert.equal(isLast, services.has(name) && kind !== "NetworkPolicy", `${kind} ${name}`);
  }
});

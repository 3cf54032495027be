import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Manifest } from "./manifests.ts";
import { OVERLAYS, render } from "./manifests.ts";
import { schemaProblems, unknownFields } from "./schema-check.ts";

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  describe(overlay, () => {
    test("every manifest is right by the schema of its kind", () => {
      assert.ok(manifests.all.length > 10);
      assert.deepEqual(manifests.all.flatMap(schemaProblems), []);
    });

    test("no manifest has a field that Kubernetes does not know", async () => {
      assert.deepEqual(await unknownFields(manifests.all), []);
    });

    test("no two manifests are the same object, and all are in one namespace", () => {
      const names = manifests.all.map(({ kind, metadata }) => `${kind} ${metadata?.name}`);
      assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted());
      for (const { kind, metadata } of manifests.all) {
        if (kind !== "Namespace") assert.equal(metadata?.namespace, "manyline", metadata?.name);
      }
    });
  });
}

const dev = await render("dev");
describe("the checks themselves", () => {
  const worker = dev.one("Deployment", "session-worker");
  /** The worker's Deployment with other parts, as a slip of the pen would make it. */
  const withSlip = (spec: object, podSpec: object): Manifest => {
    const slipped: unknown = {
      ...worker,
      spec: {
        ...worker.spec,
        ...spec,
        template: {
          ...worker.spec?.template,
          spec: { ...worker.spec?.template.spec, ...podSpec },
        },
      },
    };
    return slipped as Manifest;
  };

  test("a wrong value and a missing one are found", () => {
    const [problem = ""] = schemaProblems(
      withSlip({ replicas: "two" }, { containers: [{ image: "x" }] }),
    );
    assert.match(problem, /replicas must be integer/);
    assert.match(problem, /containers\/0 must have required property name/);
  });

  test("a mistyped field, which the schema lets pass, is found", async () => {
    const mistyped = withSlip({}, { terminationGracePeriodSecond: 155 });
    assert.deepEqual(schemaProblems(mistyped), []);
    const found = await unknownFields([mistyped]);
    assert.match(found.join("\n"), /terminationGracePeriodSecond/);
  });
});

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Script } from "node:vm";
import { parse } from "yaml";
import type { Pods } from "./manifests.ts";
import { allContainers, containerOf, OVERLAYS, render, ROOT } from "./manifests.ts";
import { settingsOf } from "./settings.ts";

type ComposeService = {
  image?: string;
  command?: string[];
  working_dir?: string;
  environment?: Record<string, string>;
};

const compose: { services: Record<string, ComposeService> } = parse(
  await readFile(join(ROOT, "docker-compose.yml"), "utf8"),
  { merge: true },
);
const dockerfile = await readFile(join(ROOT, "Dockerfile"), "utf8");
const dev = await render("dev");

/** Programs of the one image; the rest are servers of others. */
const OWN = [
  "gateway",
  "session-worker",
  "webhook-ingest",
  "notifier",
  "migrate",
  "whatsapp-simulator",
  "inbox-simulator",
];
const SERVERS = ["postgres", "nats", "redis"];

test("everything that compose runs is in the dev overlay, and the services in each", async () => {
  assert.deepEqual(
    dev.pods.map(({ name }) => name).toSorted(),
    Object.keys(compose.services).toSorted(),
  );
  const services = ["gateway", "migrate", "notifier", "session-worker", "webhook-ingest"];
  const production = await render("production");
  assert.deepEqual(production.pods.map(({ name }) => name).toSorted(), services);
});

describe("as compose has it", () => {
  for (const name of [...OWN, ...SERVERS]) {
    test(`the image of ${name}`, () => {
      assert.equal(dev.main(name).image, compose.services[name]?.image);
    });
  }

  for (const name of ["gateway", "session-worker", "webhook-ingest", "notifier", "migrate"]) {
    test(`the program of ${name}`, async () => {
      const production = await render("production");
      const { command, workingDir } = production.main(name);
      assert.deepEqual(command, compose.services[name]?.command);
      assert.equal(workingDir, compose.services[name]?.working_dir);
    });

    test(`the ports of ${name}`, () => {
      const given = compose.services[name]?.environment ?? {};
      const settings = settingsOf(dev, name);
      for (const variable of ["PORT", "HEALTH_PORT"]) {
        assert.equal(settings.get(variable), given[variable], variable);
      }
    });
  }

  test("the simulated WhatsApp and its place", () => {
    const { command, workingDir } = dev.main("whatsapp-simulator");
    const { environment = {}, ...other } = compose.services["whatsapp-simulator"] ?? {};
    assert.deepEqual(command, other.command);
    assert.equal(workingDir, other.working_dir);
    const settings = settingsOf(dev, "whatsapp-simulator");
    for (const [variable, value] of settings) assert.equal(value, environment[variable], variable);
  });
});

test("an overlay with a registry uses one image of it for everything", async () => {
  const { pods } = await render("production");
  const images = new Set(pods.flatMap(allContainers).map(({ image }) => image));
  assert.equal(images.size, 1);
  assert.doesNotMatch([...images][0] ?? "", /local/);
});

for (const overlay of OVERLAYS) {
  const manifests = await render(overlay);
  describe(`${overlay} and the Dockerfile`, () => {
    const isOwn = ({ name }: Pods): boolean => OWN.includes(name);

    test("programs run as the image's user", () => {
      assert.match(dockerfile, /^USER node$/m);
      // The number of `node` in the official image; a name is no proof of being non-root to Kubernetes.
      for (const { spec } of manifests.pods.filter(isOwn)) {
        assert.equal(spec.securityContext?.runAsUser, 1000);
      }
    });

    test("programs and folders are where the image has them", () => {
      for (const pods of manifests.pods.filter(isOwn)) {
        const { workingDir = "", command = [] } = containerOf(pods, pods.name);
        assert.match(workingDir, /^\/app\//);
        // In dev the worker's program stands at the end of a line of shell.
        const entry = (command.at(-1) ?? "").trim().split(" ").at(-1) ?? "";
        const file = join(ROOT, workingDir.slice("/app/".length), entry);
        assert.ok(existsSync(file), file);
      }
      const pages = settingsOf(manifests, "gateway").get("CONSOLE_DIR") ?? "";
      assert.ok(dockerfile.includes(` .${pages.slice("/app".length)}\n`), pages);
    });

    test("nothing is written outside a volume", () => {
      for (const pods of manifests.pods.filter(isOwn)) {
        const { volumeMounts = [] } = containerOf(pods, pods.name);
        assert.ok(
          volumeMounts.some(({ mountPath }) => mountPath === "/tmp"),
          pods.name,
        );
      }
    });
  });
}

test("whoever keeps files in the dev overlay finds them in the same place", () => {
  for (const name of ["gateway", "session-worker", "webhook-ingest"]) {
    const folder = settingsOf(dev, name).get("MEDIA_STORE");
    const mount = dev.main(name).volumeMounts?.find(({ mountPath }) => mountPath === folder);
    const volume = dev.podsOf(name).spec.volumes?.find((each) => each.name === mount?.name);
    const claim = volume?.persistentVolumeClaim?.claimName;
    assert.equal(dev.one("PersistentVolumeClaim", claim ?? "none").metadata?.name, claim);
    assert.equal(
      dev.podsOf(name).spec.securityContext?.fsGroup,
      1000,
      "the image's user may write",
    );
  }
});

test("a worker of the dev overlay gets the simulator's root key before it starts", () => {
  const pods = dev.podsOf("session-worker");
  const [first] = pods.spec.initContainers ?? [];
  const [, , script = ""] = first?.command ?? [];
  const written = /writeFileSync\("([^"]+)"/.exec(script)?.[1] ?? "nothing";
  const [, , shell = ""] = dev.main("session-worker").command ?? [];
  assert.ok(shell.includes(`WA_ROOT_KEY="$(cat ${written})"`));
  const asked = new URL(/"(http[^"]+)"/.exec(script)?.[1] ?? "");
  const address = new URL(settingsOf(dev, "session-worker").get("WA_URL") ?? "");
  assert.equal(asked.host, address.host);
  assert.doesNotThrow(() => new Script(script), "it is a program");
});

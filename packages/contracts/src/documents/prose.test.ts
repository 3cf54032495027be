/** What the hand-written documents claim and can be checked. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { MAX_EVENT_BYTES } from "../events/envelope.ts";
import { PAIRING } from "../pairing.ts";
import { EVENTS_MAX_AGE_MS } from "../subjects.ts";

const root = new URL("../../../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");

it("docs/limits.md names the figures the code has", () => {
  const limits = read("docs/limits.md");
  const [first, second, third] = PAIRING.qrLifeMs.map((ms) => `${ms / 1_000} s`);
  for (const claim of [
    `| ${PAIRING.codesPerHour} in a rolling hour; the sixth starts a pause of ${PAIRING.cooldownMs / 60_000} minutes`,
    `| ${PAIRING.codeValidityMs / 1_000} s; connection and credentials live ${PAIRING.codeGraceMs / 1_000} s longer |`,
    `| ${PAIRING.maxQr}: ${first}, ${second}, ${third}; then once a code`,
    `| ends after ${PAIRING.unwatchedMs / 1_000} s |`,
    `| ${MAX_EVENT_BYTES / 1_024} KiB |`,
    `the stream ${EVENTS_MAX_AGE_MS / 3_600_000} hours |`,
  ]) {
    assert.ok(limits.includes(claim), claim);
  }
  for (let row = 1; row <= 20; row += 1) {
    assert.match(
      limits,
      new RegExp(`^\\| (\\d+, )*${row}(, \\d+)* \\|`, "m"),
      `known defect ${row}`,
    );
  }
});

it("README and docs/architecture.md map the rooms there are, and every link leads somewhere", () => {
  const rooms = ["packages", "services", "apps"].flatMap((folder) =>
    readdirSync(new URL(folder, root)).map((name) => `${folder}/${name}`),
  );
  for (const document of ["README.md", "docs/architecture.md"]) {
    const text = read(document);
    for (const room of rooms) assert.ok(text.includes(room), `${document} does not name ${room}`);
    for (const [named] of text.matchAll(/(packages|services|apps)\/[a-z-]+/g)) {
      assert.ok(existsSync(new URL(named, root)), `${document} names ${named}`);
    }
  }
  for (const document of [
    "README.md",
    "CONTRIBUTING.md",
    "docs/limits.md",
    "docs/architecture.md",
    "docs/events.md",
  ]) {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      assert.ok(
        existsSync(new URL(target ?? "", new URL(document, root))),
        `${document} → ${target}`,
      );
    }
  }
});

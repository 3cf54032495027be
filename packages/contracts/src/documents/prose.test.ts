/** What the hand-written documents claim and can be checked. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { it } from "node:test";
import { MAX_EVENT_BYTES } from "../events/envelope.ts";
import { QUEUE_LENGTH, SEND_LIFE } from "../message.ts";
import { PAIRING } from "../pairing.ts";
import {
  CHECK_PHONES,
  FILE_KINDS,
  READ_MESSAGES,
  SEND_BYTES,
  SEND_KIND_NAMES,
  SEND_LENGTHS,
} from "../rest/sends.ts";
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

it("docs/messages.md names the kinds and figures the code has", () => {
  const page = read("docs/messages.md");
  const whole = (figure: number): string => figure.toLocaleString("en");
  for (const kind of SEND_KIND_NAMES)
    assert.match(page, new RegExp(`^\\| \`${kind}\` \\|`, "m"), kind);
  for (const kind of FILE_KINDS) {
    const row = page.split("\n").find((line) => line.startsWith(`| \`${kind}\` |`)) ?? "";
    assert.ok(row.includes(`${SEND_BYTES[kind] / 1_048_576} MiB`), row);
  }
  for (const claim of [
    `| ${whole(SEND_LENGTHS.text)} characters |`,
    `caption ${whole(SEND_LENGTHS.caption)} characters`,
    `| ${READ_MESSAGES} of one chat`,
    `at most ${CHECK_PHONES} at once`,
    `**As long as there is room.** ${whole(QUEUE_LENGTH)} messages`,
    `(${SEND_LIFE.least} s to ${SEND_LIFE.most / 86_400} days)`,
  ]) {
    assert.ok(page.includes(claim), claim);
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
    "docs/messages.md",
    "docs/meta.md",
    "docs/webhooks.md",
    "docs/operations.md",
    "docs/state-machines.md",
  ]) {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      assert.ok(
        existsSync(new URL(target ?? "", new URL(document, root))),
        `${document} → ${target}`,
      );
    }
  }
});

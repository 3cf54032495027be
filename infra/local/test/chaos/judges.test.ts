/** The judges of the chaos tests find what they look for: each is shown the harm it would otherwise never see. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { bentAuthStates } from "./auth-state.ts";
import { Scenario } from "./scenario.ts";
import { ALLOWED_MS } from "./status-sampler.ts";

test("a wrong status, a stale owner's stanza and a bent auth state are seen", async () => {
  await using scenario = await Scenario.open({ workers: 1, companies: 3, shardSize: 1 });
  const { fleet, audit, traffic, sampler } = scenario;
  const [worker] = scenario.running;
  const [number] = fleet.numbers;
  assert.ok(worker && number);
  sampler.start();

  // Frozen for less than its lease: nobody is told, and the statuses go on saying "connected".
  await worker.pause();
  await delay(2 * ALLOWED_MS);
  await worker.resume();
  const mismatches = sampler.mismatches();
  assert.equal(mismatches.length, fleet.numbers.length);
  assert.equal(mismatches[0]?.told, "connected/open");

  const changes = await audit.changes();
  assert.deepEqual(traffic.staleStanzas(changes), []);
  const { shardId, phone, deviceId } = number;
  const takeOver = { shardId, epoch: 99, label: "another", isRelease: false, at: new Date() };
  await delay(200);
  applyFault(fleet.simulator.server, { kind: "pre-keys-low", phone, deviceId });
  await until(() => traffic.uploads.length > 0, { label: "an upload of pre-keys" });
  const stale = traffic.staleStanzas([...changes, takeOver]);
  assert.ok(stale.length > 0);
  assert.ok(stale.every((one) => one.phone === phone && one.owner === "another"));
  const asFromTheStart = { ...takeOver, at: new Date(0) };
  assert.equal(traffic.staleLogins([asFromTheStart]).length, 1);

  assert.deepEqual(await bentAuthStates(fleet, audit), []);
  await audit.query("delete from auth_key_packs where number_no = $1", [number.numberNo]);
  const bent = await bentAuthStates(fleet, audit);
  assert.match(bent[0] ?? "", /pre-key 1 at the server is not stored/);
});

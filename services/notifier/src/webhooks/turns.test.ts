import assert from "node:assert/strict";
import { it } from "node:test";
import { Turns } from "./turns.ts";

it("a queue with a backlog gives way while others are served, and to nobody else", () => {
  let at = 0;
  const turns = new Turns(() => at);
  let loud = 0;
  for (let claim = 0; claim < 20; claim += 1) loud = turns.served("loud", loud, 8, 8);
  assert.equal(turns.pauseMs("loud", loud), 0, "it is alone, and was itself short a moment ago");
  const quiet = turns.served("quiet", 0, 8, 1);
  assert.ok(turns.pauseMs("loud", loud) > 0);
  assert.equal(turns.pauseMs("quiet", quiet), 0);
  loud = turns.served("loud", loud, 1, 1);
  assert.ok(turns.pauseMs("loud", loud) > 0, "its own deliveries do not end it");
  at += 1_000;
  assert.equal(turns.pauseMs("loud", loud), 0, "the others have had nothing for a while");
});

it("two backlogs share, and one that ran dry is none", () => {
  let at = 0;
  const turns = new Turns(() => at);
  const stretches = { one: 0, two: 0 };
  const claim = (): void => {
    for (const who of ["one", "two"] as const)
      stretches[who] = turns.served(who, stretches[who], 8, 8);
  };
  for (let count = 0; count < 20; count += 1) claim();
  at += 1_000;
  claim();
  assert.deepEqual(
    [turns.pauseMs("one", stretches.one), turns.pauseMs("two", stretches.two)],
    [0, 0],
  );
  assert.equal(turns.served("one", stretches.one, 8, 3), 0);
  assert.ok(turns.pauseMs("two", stretches.two) > 0);
});

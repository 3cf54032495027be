import assert from "node:assert/strict";
import { test } from "node:test";
import { checkPhoneOptions, checkServerOptions, DEFAULT_OPTIONS, OptionError } from "./options.ts";

test("the defaults pass their own check", () => {
  assert.deepEqual(checkServerOptions(DEFAULT_OPTIONS), DEFAULT_OPTIONS);
});

test("the default display rule knows the usual clients", () => {
  const rule = new RegExp(DEFAULT_OPTIONS.displayRule ?? "");
  for (const display of [
    "Chrome (Mac OS)",
    "Chrome (Windows)",
    "Edge (Linux)",
    "Chrome (Ubuntu)",
  ]) {
    assert.match(display, rule);
  }
  for (const display of ["Desktop (Mac OS)", "Chrome (Acme)", "Acme", "xChrome (Windows)"]) {
    assert.doesNotMatch(display, rule);
  }
});

test("wrong options are refused by name", () => {
  const wrong: [unknown, RegExp][] = [
    [{ helloAnswer: 401 }, /helloAnswer/],
    [{ companionRefresh: "sometimes" }, /companionRefresh/],
    [{ codeTtlMs: -1 }, /codeTtlMs/],
    [{ minVersion: [2, 3000] }, /minVersion/],
    [{ displayRule: "(" }, /displayRule/],
    [{ qrRefs: 2 }, /no option qrRefs/],
    [{ toString: 1 }, /no option toString/],
    [[], /object/],
    [null, /object/],
  ];
  for (const [input, message] of wrong) {
    assert.throws(
      () => checkPhoneOptions(input),
      (error: unknown) => error instanceof OptionError && message.test(error.message),
    );
  }
  assert.throws(() => checkServerOptions({ speed: 0 }), OptionError);
  assert.deepEqual(checkServerOptions({ qrRefs: 2, helloAnswer: 452, minVersion: null }), {
    qrRefs: 2,
    helloAnswer: 452,
    minVersion: null,
  });
});

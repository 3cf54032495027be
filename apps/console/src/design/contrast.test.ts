/** The colours of tokens.css against WCAG 2.2, in both themes. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

const css = readFileSync(new URL("./tokens.css", import.meta.url), "utf8");

function colours(block: string): Record<string, string> {
  const found = block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g);
  return Object.fromEntries([...found].map(([, name = "", value = ""]) => [name, value]));
}

const light = colours(css.slice(css.indexOf(":root {"), css.indexOf("@media")));
const system = colours(
  /prefers-color-scheme: dark\) \{\s*:root[^{]*\{([^}]*)\}/.exec(css)?.[1] ?? "",
);
const dark = colours(/:root\[data-theme="dark"\] \{([^}]*)\}/.exec(css)?.[1] ?? "");

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [light_ = 0, dark_ = 0] = [luminance(one), luminance(other)].toSorted((a, b) => b - a);
  return (light_ + 0.05) / (dark_ + 0.05);
}

const GROUNDS = ["bg", "surface", "sunken"];
const STATES = ["up", "connecting", "disconnected", "error", "blocked"];

/** Text on ground at 4.5, marks at 3. */
type Pair = [text: string, ground: string, limit: number];
const PAIRS: Pair[] = [
  ...["ink", "ink-2", "ink-3"].flatMap((text) =>
    GROUNDS.map((ground): Pair => [text, ground, 4.5]),
  ),
  ...STATES.flatMap((state) => GROUNDS.map((ground): Pair => [state, ground, 4.5])),
  ...STATES.flatMap((state): Pair[] => [
    [`${state}-mark`, "bg", 3],
    [`${state}-mark`, "surface", 3],
    [state, `${state}-soft`, 4.5],
    ["ink", `${state}-soft`, 4.5],
  ]),
  ["on-ink", "ink", 4.5],
  ["on-ink", "ink-2", 4.5],
  ["line-strong", "bg", 3],
  ["line-strong", "surface", 3],
  ["off-mark", "bg", 3],
  ["focus", "bg", 3],
  ["focus", "surface", 3],
];

describe("contrast", () => {
  for (const [theme, palette] of [
    ["light", light],
    ["dark", { ...light, ...dark }],
  ] as const) {
    it(`${theme}: every pair is above its limit`, () => {
      for (const [text, ground, limit] of PAIRS) {
        const [one, other] = [palette[text], palette[ground]];
        assert.ok(one && other, `${text} and ${ground} are tokens`);
        const ratio = contrast(one, other);
        assert.ok(ratio >= limit, `${text} on ${ground}: ${ratio.toFixed(2)} < ${limit}`);
      }
    });
  }

  it("the system's dark is the chosen dark", () => {
    assert.ok(Object.keys(dark).length > 20);
    assert.deepEqual(system, dark);
  });
});

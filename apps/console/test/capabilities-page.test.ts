/** The table of what each number can do, in a browser: every cell, all languages, wide and narrow. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { CANNOT, CAPABILITIES, ENGINES } from "@manyline/contracts/capabilities";
import type { Browser, Page } from "playwright-core";
import { axeViolations, NARROW, openBrowser, overflows, screenshotPath, WIDE } from "./browser.ts";
import { FakeGateway } from "./fake-gateway.ts";
import { Build } from "./static-files.ts";

let built: Build;
let browser: Browser;
let gateway: FakeGateway;
before(async () => {
  built = await Build.make();
  browser = await openBrowser();
  gateway = await FakeGateway.start(built);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await browser.close();
  await built[Symbol.asyncDispose]();
});

/** The page in a window of its own. */
async function opened(
  language: string,
  viewport: typeof WIDE,
  look: (page: Page) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({ viewport, reducedMotion: "reduce" });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(8_000);
    const problems: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(message.text());
    });
    await page.goto(`${gateway.url}/capabilities.html?lang=${language}`);
    await page.getByRole("heading", { level: 1 }).waitFor();
    await look(page);
    assert.deepEqual(problems, []);
  } finally {
    await context.close();
  }
}

describe("the page of capabilities", () => {
  it("shows every cell as the gateway decides it", async () => {
    await opened("en", WIDE, async (page) => {
      const shown = await page.evaluate(() =>
        [...document.querySelectorAll<HTMLElement>("td[data-engine]")].map((cell) =>
          [
            cell.parentElement?.dataset["capability"],
            cell.dataset["engine"],
            cell.dataset["can"],
          ].join(),
        ),
      );
      const expected = CAPABILITIES.flatMap((capability) =>
        ENGINES.map((engine) =>
          [capability, engine, String(CANNOT[engine][capability] === undefined)].join(),
        ),
      );
      assert.deepEqual(shown, expected);
      const cell = page.locator("[data-capability=poll] [data-engine=meta]");
      assert.match(await cell.innerText(), /^no The Cloud API has no such message\.$/);
    });
  });

  it("speaks four languages, fits, and is accessible", async () => {
    for (const [language, viewport] of [
      ["en", WIDE],
      ["ru", NARROW],
      ["es", NARROW],
      ["pt", NARROW],
    ] as const) {
      await opened(language, viewport, async (page) => {
        assert.equal(await page.evaluate(() => document.documentElement.lang), language);
        assert.deepEqual(await axeViolations(page), [], language);
        assert.deepEqual(await overflows(page), [], language);
        await page.screenshot({ path: screenshotPath(`capabilities-${language}`) });
      });
    }
  });

  it("changes its language when it is asked to", async () => {
    await opened("en", WIDE, async (page) => {
      await page.getByRole("combobox").selectOption("ru");
      await page.getByRole("heading", { name: "Что умеет каждый номер" }).waitFor();
      assert.equal(await page.title(), "Что умеет каждый номер · Manyline");
    });
  });
});

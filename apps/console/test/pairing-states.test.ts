/**
 * Every state of the pairing page in a browser, against a gateway that is scripted at the wire: it is reached,
 * nothing is wrong for assistive technology, nothing overflows. Pictures go to SCREENSHOT_DIR.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, Page } from "playwright-core";
import { axeViolations, NARROW, openBrowser, overflows, screenshotPath, WIDE } from "./browser.ts";
import { FakeGateway } from "./fake-gateway.ts";
import { SCENES, enact, type Scene } from "./scenes.ts";
import { Build } from "./static-files.ts";

let built: Build;
let browser: Browser;
before(async () => {
  built = await Build.make();
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
  await built[Symbol.asyncDispose]();
});

const LOOKS = [
  { name: "wide-light", viewport: WIDE, colorScheme: "light" },
  { name: "wide-dark", viewport: WIDE, colorScheme: "dark" },
  { name: "narrow-light", viewport: NARROW, colorScheme: "light" },
  { name: "narrow-dark", viewport: NARROW, colorScheme: "dark" },
] as const;

/** The languages take turns. */
const LANGUAGES = ["en", "ru", "es", "pt"] as const;

describe("pairing page", () => {
  for (const [index, scene] of SCENES.entries()) {
    const language = LANGUAGES[index % LANGUAGES.length] ?? "en";
    it(`${scene.name}, ${language}`, async () => {
      await inScene(scene, language, async (page) => {
        assert.equal(await page.locator("html").getAttribute("lang"), language);
        // Nothing is shown for the first 200 ms.
        await page.locator("h1").first().waitFor();
        for (const { name, viewport, colorScheme } of LOOKS) {
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await overflows(page), [], name);
          assert.deepEqual(await axeViolations(page), [], name);
          await page.screenshot({ path: screenshotPath(`pairing-${scene.name}-${name}`) });
        }
        await page.setViewportSize({ width: 320, height: 640 });
        assert.deepEqual(await overflows(page), [], "at 320 px");
        await page.evaluate(lengthen);
        for (const viewport of [NARROW, { width: 1_100, height: 900 }]) {
          await page.setViewportSize(viewport);
          assert.deepEqual(await overflows(page), [], `40 % longer at ${viewport.width} px`);
        }
        await page.screenshot({ path: screenshotPath(`pairing-${scene.name}-longer`) });
      });
    });
  }

  it("the checks can fail", async () => {
    const scene = SCENES.find(({ name }) => name === "already") ?? assert.fail();
    await inScene(scene, "en", async (page) => {
      await page.evaluate(() => {
        const wide = document.createElement("p");
        wide.style.width = "200vw";
        wide.style.color = "#ccc";
        wide.textContent = "too wide, too pale";
        document.querySelector("main")?.append(wide);
      });
      assert.notDeepEqual(await overflows(page), []);
      assert.match((await axeViolations(page)).join(), /color-contrast/);
    });
  });
});

/** Runs with the page in a scene; errors of scripts and of the policy fail the test. */
async function inScene(
  scene: Scene,
  language: string,
  work: (page: Page) => Promise<void>,
): Promise<void> {
  await using gateway = await FakeGateway.start(built);
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce" });
  try {
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        errors.push(message.text());
    });
    await enact(page, gateway, scene, { lang: language });
    await work(page);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
  }
}

/** A pseudo-language: every word of the page grows by two fifths. Runs in the browser. */
function lengthen(): void {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode } = texts;
    const isData = currentNode.parentElement?.closest('[aria-hidden="true"], option, script');
    if (isData || !currentNode.nodeValue) continue;
    currentNode.nodeValue = currentNode.nodeValue.replaceAll(/\p{L}{2,}/gu, (word) =>
      word.concat("ö".repeat(Math.ceil(word.length * 0.4))),
    );
  }
}

/**
 * Every state of the pairing page in a browser, against a gateway that is scripted at the wire: it is reached,
 * nothing is wrong for assistive technology, nothing overflows. Pictures go to SCREENSHOT_DIR.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
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

type Look = { name: string; language: string; options: BrowserContextOptions };

/** Both widths in both themes; the languages take turns, so that each is seen in each look. */
const LOOKS: Look[] = [
  { name: "wide-light", language: "en", options: { viewport: WIDE, colorScheme: "light" } },
  { name: "wide-dark", language: "ru", options: { viewport: WIDE, colorScheme: "dark" } },
  { name: "narrow-light", language: "es", options: { viewport: NARROW, colorScheme: "light" } },
  { name: "narrow-dark", language: "pt", options: { viewport: NARROW, colorScheme: "dark" } },
];

/** Runs with the page in a scene; errors of scripts and of the policy fail the test. */
async function inScene(
  scene: Scene,
  { language, options }: Omit<Look, "name">,
  work: (page: Page, gateway: FakeGateway) => Promise<void>,
): Promise<void> {
  await using gateway = await FakeGateway.start(built);
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    page.on("console", (message) => {
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        errors.push(message.text());
    });
    await enact(page, gateway, scene, { lang: language });
    await work(page, gateway);
    assert.deepEqual(errors, []);
  } finally {
    await context.close();
  }
}

for (const look of LOOKS) {
  describe(`pairing page, ${look.name}, ${look.language}`, () => {
    for (const scene of SCENES) {
      it(scene.name, async () => {
        await inScene(scene, look, async (page) => {
          assert.deepEqual(await overflows(page), []);
          assert.deepEqual(await axeViolations(page), []);
          assert.equal(await page.locator("html").getAttribute("lang"), look.language);
          await page.screenshot({
            path: screenshotPath(`pairing-${look.name}-${look.language}-${scene.name}`),
            fullPage: scene.name !== "unlink",
          });
        });
      });
    }
  });
}

describe("pairing page in little room", () => {
  const small = { language: "ru", options: { viewport: { width: 320, height: 640 } } };
  for (const scene of SCENES) {
    it(`${scene.name} fits 320 px, and texts that are 40 % longer`, async () => {
      await inScene(scene, small, async (page) => {
        assert.deepEqual(await overflows(page), [], "at 320 px");
        await page.setViewportSize(NARROW);
        await page.evaluate(lengthen);
        assert.deepEqual(await overflows(page), [], "40 % longer at 390 px");
        await page.setViewportSize({ width: 1_100, height: 900 });
        assert.deepEqual(await overflows(page), [], "40 % longer, wide");
        if (scene.name === "qr-last" || scene.name === "code" || scene.name === "already")
          await page.screenshot({ path: screenshotPath(`pairing-longer-${scene.name}`) });
      });
    });
  }
});

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

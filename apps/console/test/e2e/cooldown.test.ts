/** The pause after too many codes, over its whole length: 30 minutes pass in 9 seconds. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { startLocalStack, type LocalStack } from "@manyline/local/testing";
import type { Browser } from "playwright-core";
import { openBrowser } from "../browser.ts";

let stack: LocalStack;
let browser: Browser;
before(async () => {
  [stack, browser] = await Promise.all([startLocalStack({ TIME_SCALE: "200" }), openBrowser()]);
});
after(async () => {
  await browser.close();
  await stack[Symbol.asyncDispose]();
});

it("the sixth code waits in the page, and is given after the pause without a reload", async () => {
  const session = "/api/whatsapp/sessions/962302";
  for (let i = 0; i < 5; i += 1) {
    const given = await stack.rest("POST", `${session}/pairing-code`, {
      phoneNumber: `7905100000${i}`,
    });
    assert.equal(given.status, 200, JSON.stringify(given.body));
    await stack.rest("POST", `${session}/cancel-pairing`, {});
  }
  const link = await stack.rest("POST", `${session}/pairing-link`, {});
  const page = await browser.newPage({ locale: "en" });
  page.setDefaultTimeout(20_000);
  await page.goto(String(link.body["url"]));
  await page.getByRole("tab").nth(1).click();
  await page.getByRole("button", { name: "Get a code" }).click();
  await page.waitForSelector('main[data-screen="wait"]');
  const startedAt = performance.now();
  await page.waitForFunction(() => /The pause is over/.test(document.body.innerText));
  assert.ok(performance.now() - startedAt > 5_000, "the pause lasted");
  await page.getByRole("button", { name: "Get a code" }).click();
  // At this speed a code lives for 0.3 s: it is shown, or has already run out.
  await page.waitForSelector(
    ["code", "code-ending", "expired"].map((name) => `main[data-screen="${name}"]`).join(","),
  );
});

import { mkdtempSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium, type Browser, type Page } from "playwright-core";

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** The system's Chromium; `CHROMIUM` names another one. */
export function openBrowser(): Promise<Browser> {
  const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: FLAGS });
}

export const NARROW = { width: 390, height: 844 };
export const WIDE = { width: 1440, height: 1000 };

let folder: string | undefined;

/** Where pictures of the pages go: SCREENSHOT_DIR, else a new temporary folder. */
export function screenshotPath(name: string): string {
  folder ??= process.env["SCREENSHOT_DIR"] ?? mkdtempSync(join(tmpdir(), "console-"));
  mkdirSync(folder, { recursive: true });
  return join(folder, `${name}.png`);
}

type AxeResult = { violations: { id: string; help: string; nodes: { html: string }[] }[] };

let axeSource: Promise<string> | undefined;

/** What axe finds wrong, each as one line. Run through the debugger, which no policy of the page stops. */
export async function axeViolations(page: Page): Promise<string[]> {
  axeSource ??= readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  const source = await axeSource;
  await page.evaluate(source);
  const result = await page.evaluate<AxeResult>(
    "axe.run(document, { resultTypes: ['violations'] })",
  );
  return result.violations.map(
    ({ id, help, nodes }) => `${id}: ${help} ${nodes.map(({ html }) => html).join(" ")}`,
  );
}

/**
 * What does not fit: sideways scrolling of the page, and texts that are wider or higher than what they
 * are in. Texts for screen readers only do not count.
 */
export function overflows(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = [];
    const root = document.documentElement;
    if (root.scrollWidth > root.clientWidth)
      found.push(`page: ${root.scrollWidth} > ${root.clientWidth}`);
    for (const element of document.querySelectorAll<HTMLElement>("main *, header *, footer *")) {
      const style = getComputedStyle(element);
      if (style.clipPath !== "none" || element.closest("[role=listbox], [hidden]")) continue;
      const isClipped =
        style.overflowX !== "visible" &&
        element.clientWidth > 0 &&
        element.scrollWidth > element.clientWidth + 1;
      const box = element.getBoundingClientRect();
      const isOutside = box.width > 0 && box.right > root.clientWidth + 1;
      if ((isClipped && style.textOverflow !== "ellipsis") || isOutside) {
        found.push(`${element.tagName} ${element.className}: ${element.textContent.slice(0, 40)}`);
      }
    }
    return found;
  });
}

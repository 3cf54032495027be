/**
 * The main job, whole and real: a person's browser, the gateway, Postgres, NATS, Redis, the worker with the real
 * Baileys, and a WhatsApp that speaks the real protocol. Ten times faster than life.
 */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { startLocalStack, type LocalStack } from "@manyline/local/testing";
import type { Browser, Page } from "playwright-core";
import { decodeQR } from "qr/decode.js";
import { openBrowser } from "../browser.ts";

const SCALE = 10;
let stack: LocalStack;
let browser: Browser;
let serial = 0;

before(async () => {
  [stack, browser] = await Promise.all([
    startLocalStack({ TIME_SCALE: String(SCALE) }),
    openBrowser(),
  ]);
});
after(async () => {
  await browser.close();
  await stack[Symbol.asyncDispose]();
});

type Company = { id: string; phone: string };

async function company(withPhone = true): Promise<Company> {
  serial += 1;
  const id = `shop-${serial}`;
  const phone = `7900${String(1_000_000 + serial * 13)}`;
  const made = await stack.rest("POST", "/api/whatsapp/companies", {
    id,
    name: `Shop ${serial}`,
    country: "RU",
    ...(withPhone ? { phone } : {}),
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  return { id, phone };
}

/** Opens the page as the owner of the shop would: by a link, on a machine of their own. */
async function open(id: string, number?: string): Promise<Page> {
  const query = number === undefined ? "" : `?number=${number}`;
  const link = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-link${query}`, {});
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    locale: "en",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  page.on("pageerror", (error) => assert.fail(`an error on the page: ${error.message}`));
  await page.goto(String(link.body["url"]));
  return page;
}

async function screen(page: Page, ...names: string[]): Promise<void> {
  const selector = names.map((name) => `main[data-screen="${name}"]`).join(",");
  await page.waitForSelector(selector);
  const folder = process.env["SCREENSHOT_DIR"];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `e2e-${names[0]}.png`), fullPage: true });
}

/** Six pixels a module. */
const CAMERA_PX = 69 * 6;

/** Reads the picture on the page as a camera would, and scans it with the phone. */
async function scan(page: Page, phone: string): Promise<number> {
  const grey = await page.evaluate(async (side) => {
    const picture = document.querySelector<HTMLImageElement>('main img[src^="data:image"]');
    const canvas = document.createElement("canvas");
    canvas.width = side;
    canvas.height = side;
    const context = canvas.getContext("2d");
    if (picture === null || context === null) throw new Error("no QR on the page");
    await picture.decode();
    context.fillStyle = "#fff";
    context.fillRect(0, 0, side, side);
    context.drawImage(picture, 0, 0, side, side);
    const { data } = context.getImageData(0, 0, side, side);
    let text = "";
    for (let i = 0; i < data.length; i += 4) text += (data[i] ?? 0) < 128 ? "1" : "0";
    return text;
  }, CAMERA_PX);
  const data = new Uint8ClampedArray(CAMERA_PX * CAMERA_PX * 4);
  for (let i = 0; i < grey.length; i += 1) data.fill(grey[i] === "1" ? 0 : 255, i * 4, i * 4 + 3);
  const qr = decodeQR({ width: CAMERA_PX, height: CAMERA_PX, data });
  return (await stack.simulator("POST", `/phones/${phone}/scan`, { qr })).status;
}
async function readCode(page: Page): Promise<string> {
  await screen(page, "code", "switched", "code-ending");
  const text = await page.evaluate(() => document.querySelector("main")?.textContent ?? "");
  const code = /(?:[1-9A-HJ-NP-TV-Z] ){7}[1-9A-HJ-NP-TV-Z]/.exec(text)?.[0] ?? "";
  assert.notEqual(code, "", `no code in: ${text.slice(0, 400)}`);
  return code.replaceAll(" ", "");
}
async function type(phone: string, code: string): Promise<number> {
  return (await stack.simulator("POST", `/phones/${phone}/enter-code`, { code })).status;
}
async function askCode(page: Page, phone: string): Promise<void> {
  await page.getByRole("tab").nth(1).click();
  await page.waitForSelector(
    'main[data-screen^="entry"] input[type="tel"], main input[inputmode="tel"]',
  );
  await page.locator('input[type="tel"], input[inputmode="tel"]').first().fill(`+${phone}`);
  await page.getByRole("button", { name: "Get a code" }).click();
}
async function status(id: string, number?: string): Promise<Record<string, unknown>> {
  const query = number === undefined ? "" : `?number=${number}`;
  return (await stack.rest("GET", `/api/whatsapp/sessions/${id}/status${query}`)).body;
}
/** Life times of a code, in seconds of WhatsApp. */
async function wait(seconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, (seconds * 1_000) / SCALE));
}

describe("by QR", () => {
  it("a scanned QR links, and the page says so", async () => {
    const { id, phone } = await company(false);
    const page = await open(id);
    await screen(page, "qr");
    assert.equal(new URL(page.url()).hash, "", "the token is gone from the address");
    assert.equal(await scan(page, phone), 200);
    await screen(page, "connected");
    assert.match(await page.locator("main").innerText(), /is linked/);
    assert.equal((await status(id))["status"], "connected");
    await page.context().close();
  });

  it("three unscanned QRs switch to a code and say so", async () => {
    const { id, phone } = await company();
    const page = await open(id);
    await screen(page, "qr");
    const code = await readCode(page);
    assert.match(await page.locator("main").innerText(), /Nobody scanned the QR code/);
    assert.equal(await type(phone, code), 200);
    await screen(page, "connected");
    await page.context().close();
  });

  it("WhatsApp retires the secret when the QR is scanned: the new one links", async () => {
    const { id, phone } = await company(false);
    await stack.simulator("PUT", `/phones/${phone}`, { options: { companionRefresh: "on-scan" } });
    const page = await open(id);
    await screen(page, "qr");
    const retired = await page.locator("main img").first().getAttribute("src");
    assert.equal(await scan(page, phone), 409);
    await page.waitForFunction(
      (old) => document.querySelector("main img")?.getAttribute("src") !== old,
      retired,
    );
    assert.equal(await scan(page, phone), 200);
    await screen(page, "connected");
    await page.context().close();
  });

  it("a passkey is shown", async () => {
    const { id, phone } = await company(false);
    await stack.simulator("PUT", `/phones/${phone}`, { options: { passkey: "on-scan" } });
    const page = await open(id);
    await screen(page, "qr");
    assert.equal(await scan(page, phone), 409);
    await screen(page, "passkey");
    await page.context().close();
  });
});

describe("by code", () => {
  for (const [seconds, links] of [
    [59.9, true],
    [75, true],
    [100, false],
  ] as const) {
    it(`a code typed after ${seconds} s ${links ? "links" : "does not, and the next attempt does"}`, async () => {
      const { id, phone } = await company(false);
      const page = await open(id);
      await askCode(page, phone);
      const code = await readCode(page);
      // From the moment it was issued: reading it off the page took a while.
      const attempt = (await status(id))["attempt"] as { issuedAt: string };
      const typedAt = Date.parse(attempt.issuedAt) + (seconds * 1_000) / SCALE;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, typedAt - Date.now())));
      assert.equal(await type(phone, code), links ? 200 : 409);
      if (!links) {
        await screen(page, "expired");
        await page.getByRole("button", { name: "Get a new code" }).click();
        assert.equal(await type(phone, await readCode(page)), 200);
      }
      await screen(page, "connected");
      await page.context().close();
    });
  }

  it("a new code asked for at 65 s replaces the old one", async () => {
    const { id, phone } = await company(false);
    const page = await open(id);
    await askCode(page, phone);
    const first = await readCode(page);
    await screen(page, "expired");
    await wait(5);
    await page.getByRole("button", { name: "Get a new code" }).click();
    const second = await readCode(page);
    assert.notEqual(second, first);
    assert.equal(await type(phone, first), 409);
    assert.equal(await type(phone, second), 200);
    await screen(page, "connected");
    await page.context().close();
  });

  it("unless the phone has begun: then the page shows linking", async () => {
    const { id, phone } = await company(false);
    await stack.simulator("PUT", `/phones/${phone}`, {
      options: { finish: "result-then-silence" },
    });
    const page = await open(id);
    await askCode(page, phone);
    const code = await readCode(page);
    await wait(45);
    void type(phone, code);
    await screen(page, "linking");
    const refused = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-code`, {
      phoneNumber: phone,
    });
    assert.equal(refused.body["code"], "REQUEST_IN_PROGRESS");
    await page.context().close();
  });

  it("the sixth code is refused in the page with the minutes", async () => {
    const { id, phone } = await company(false);
    for (let i = 0; i < 5; i += 1) {
      const given = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-code`, {
        phoneNumber: `7901${String(2_000_000 + serial * 100 + i)}`,
      });
      assert.equal(given.status, 200, JSON.stringify(given.body));
      await stack.rest("POST", `/api/whatsapp/sessions/${id}/cancel-pairing`, {});
    }
    const page = await open(id);
    await askCode(page, phone);
    await screen(page, "wait");
    assert.match(await page.locator("main").innerText(), /Wait \d minutes/);
    const refused = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-code`, {
      phoneNumber: phone,
    });
    assert.equal(refused.status, 429);
    // Unscaled, as a person would be told.
    assert.equal(refused.body["detail"], "Wait 30 minutes");
    assert.ok(Number(refused.headers.get("retry-after")) > 0);
    assert.equal((await status(id))["status"], "blocked");
    await page.context().close();
  });

  it("a number that is not on WhatsApp is said so, and can be changed", async () => {
    const { id, phone } = await company(false);
    await stack.simulator("PUT", `/phones/${phone}`, { exists: false });
    const page = await open(id);
    await askCode(page, phone);
    await screen(page, "not-on-whatsapp");
    await page.context().close();
  });
});

describe("a page that lives", () => {
  it("reloaded in the middle it goes on", async () => {
    const { id, phone } = await company(false);
    const page = await open(id);
    await askCode(page, phone);
    const code = await readCode(page);
    await page.reload();
    assert.equal(await readCode(page), code);
    assert.equal(await type(phone, code), 200);
    await screen(page, "connected");
    await page.reload();
    await screen(page, "already");
    await page.context().close();
  });

  it("unlinked on the phone it says so, and a new pairing works", async () => {
    const { id, phone } = await company(false);
    const page = await open(id);
    await screen(page, "qr");
    assert.equal(await scan(page, phone), 200);
    await screen(page, "connected");
    await stack.simulator("POST", `/phones/${phone}/unlink`, {});
    // The open page notices by itself and offers a new QR.
    await page.waitForFunction(() => /was unlinked on the phone/.test(document.body.innerText));
    assert.equal((await status(id))["reason"], "logged_out");
    // Nobody may be looking any more: the next QR is drawn when it is asked for.
    await screen(page, "qr-ask");
    await page.getByRole("button", { name: "QR code" }).click();
    await screen(page, "qr");
    assert.equal(await scan(page, phone), 200);
    await screen(page, "connected");
    await page.context().close();
  });

  it("a link works once", async () => {
    const { id } = await company();
    const link = await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-link`, {});
    const first = await browser.newPage();
    await first.goto(String(link.body["url"]));
    await screen(first, "qr", "qr-preparing");
    const second = await browser.newContext();
    const page = await second.newPage();
    await page.goto(String(link.body["url"]));
    await screen(page, "link-invalid");
    await second.close();
    await first.close();
  });
});

describe("companies and numbers apart", () => {
  it("two numbers of one company are linked and unlinked apart", async () => {
    const { id, phone } = await company(false);
    const other = `7902${String(3_000_000 + serial)}`;
    const numbers = await Promise.all(
      ["one", "two"].map(async (name) => {
        const made = await stack.rest("POST", `/api/whatsapp/companies/${id}/numbers`, { name });
        assert.equal(made.status, 201, JSON.stringify(made.body));
        return String((made.body["number"] as { id: string } | undefined)?.id ?? made.body["id"]);
      }),
    );
    for (const [i, msisdn] of [phone, other].entries()) {
      const page = await open(id, numbers[i]);
      await screen(page, "qr");
      assert.equal(await scan(page, msisdn), 200);
      await screen(page, "connected");
      await page.context().close();
    }
    await stack.rest("POST", `/api/whatsapp/sessions/${id}/cleanup?number=${numbers[0]}`, {});
    assert.equal((await status(id, numbers[0]))["status"], "disconnected");
    assert.equal((await status(id, numbers[1]))["status"], "connected");
  });

  it("two companies at once: neither sees the other's QR, code or events by any route", async () => {
    const [a, b] = [await company(false), await company(false)];
    const tokens = await Promise.all(
      [a, b].map(async ({ id }) => {
        const again = await stack.rest("GET", `/api/whatsapp/companies/${id}`);
        assert.equal(again.status, 200);
        return (await stack.rest("POST", `/api/whatsapp/sessions/${id}/pairing-link`, {})).body[
          "url"
        ];
      }),
    );
    assert.equal(new Set(tokens).size, 2);
    const [pageA, pageB] = await Promise.all([open(a.id), open(b.id)]);
    await Promise.all([screen(pageA, "qr"), screen(pageB, "qr")]);
    for (const path of ["status", "qr", "qr?format=svg", "events"]) {
      const answer = await pageA.evaluate(
        async (url) => (await fetch(url)).status,
        `/api/whatsapp/sessions/${b.id}/${path}`,
      );
      assert.equal(answer, 404, path);
    }
    for (const path of ["pairing-code", "reconnect", "cleanup", "cancel-pairing", "pairing-link"]) {
      const answer = await pageA.evaluate(
        async (url) =>
          (
            await fetch(url, {
              method: "POST",
              headers: { "content-type": "application/json" },
              body: '{"phoneNumber":"79001112233"}',
            })
          ).status,
        `/api/whatsapp/sessions/${b.id}/${path}`,
      );
      assert.ok([403, 404].includes(answer), `${path}: ${answer}`);
    }
    assert.equal(await scan(pageA, a.phone), 200);
    await screen(pageA, "connected");
    assert.notEqual(await pageB.locator("main").getAttribute("data-screen"), "connected");
    assert.notEqual((await status(b.id))["status"], "connected");
    await Promise.all([pageA.context().close(), pageB.context().close()]);
  });
});

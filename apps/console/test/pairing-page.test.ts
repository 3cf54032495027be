/** How a person and the page act on each other: link, keyboard, screen reader, clock, reload, lost server. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { decodeQR } from "qr/decode.js";
import { openBrowser, WIDE } from "./browser.ts";
import { COMPANY_ID, CUT, FakeGateway, LINK_TOKEN, problem, statusAnswer } from "./fake-gateway.ts";
import {
  ATTEMPT_ID,
  CODE,
  PHONE,
  QR_TEXT,
  codeAttempt,
  fromNow,
  linked,
  pairing,
  waitFor,
} from "./scenes.ts";
import { Build } from "./static-files.ts";

let built: Build;
let browser: Browser;
let gateway: FakeGateway;
let context: BrowserContext | undefined;

before(async () => {
  built = await Build.make();
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
  await built[Symbol.asyncDispose]();
});
beforeEach(async () => {
  gateway = await FakeGateway.start(built);
});
afterEach(async () => {
  await context?.close();
  await gateway[Symbol.asyncDispose]();
});

async function open(options: BrowserContextOptions = {}, url = gateway.link): Promise<Page> {
  context = await browser.newContext({ viewport: WIDE, locale: "en-GB", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(8_000);
  await page.goto(url);
  return page;
}

const screen = (page: Page, name: string) => page.waitForSelector(`main[data-screen="${name}"]`);
const focused = (page: Page) =>
  page.evaluate(() => document.activeElement?.textContent || document.activeElement?.id);
const region = (page: Page, role: "status" | "alert") =>
  page.locator(`[role=${role}]`).textContent();

async function listening(page: Page): Promise<void> {
  await page.waitForSelector('main[data-screen]:not([data-screen="loading"])');
  await waitFor(() => gateway.streamCount > 0);
}

const SIDE = 690;

/** What a camera would read off the page. */
async function readQr(page: Page): Promise<string> {
  const dots = await page.evaluate(async (side) => {
    const picture = document.querySelector<HTMLImageElement>("main img");
    if (!picture) throw new Error("no picture");
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const drawing = canvas.getContext("2d");
    drawing?.drawImage(picture, 0, 0, side, side);
    const { data } = drawing?.getImageData(0, 0, side, side) ?? { data: [] };
    return Array.from({ length: side * side }, (_, at) =>
      (data[at * 4] ?? 0) > 127 ? "1" : "0",
    ).join("");
  }, SIDE);
  const data = Uint8ClampedArray.from(dots, Number).map((dot) => dot * 255);
  const rgb = new Uint8ClampedArray(data.length * 3);
  for (const [at, dot] of data.entries()) rgb.fill(dot, at * 3, at * 3 + 3);
  return decodeQR({ width: SIDE, height: SIDE, data: rgb });
}

describe("the link", () => {
  it("is exchanged once, leaves the address, and nothing secret is stored", async () => {
    const page = await open();
    await screen(page, "qr-preparing");
    assert.deepEqual(gateway.callsOf("link-exchange"), [{ token: LINK_TOKEN }]);
    assert.equal(page.url(), `${gateway.url}/whatsapp-pairing.html?company=${COMPANY_ID}`);
    const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]));
    assert.ok(!stored.includes(LINK_TOKEN));
  });

  it("a reload resumes the attempt with the cookie", async () => {
    gateway.status = pairing();
    const page = await open();
    await screen(page, "qr");
    await page.reload();
    await screen(page, "qr");
    assert.equal(gateway.callsOf("link-exchange").length, 1);
    assert.deepEqual(gateway.callsOf("reconnect"), [], "the live attempt is not started again");
  });
});

describe("the QR", () => {
  it("is one picture that a phone can read, and is replaced in place", async () => {
    gateway.status = pairing();
    const page = await open();
    await screen(page, "qr");
    await page.waitForSelector("main img");
    assert.equal(await readQr(page), QR_TEXT);
    assert.equal(await region(page, "status"), "New QR code, 1 of 3.");
    gateway.emit("pairing.qr_issued", {
      attemptId: ATTEMPT_ID,
      k: 2,
      max: 3,
      issuedAt: fromNow(0),
      expiresAt: fromNow(20),
      refreshed: false,
      qr: "2@second",
    });
    await page.getByText("QR code 2 of 3").waitFor();
    assert.equal(await readQr(page), "2@second");
    const html = await page.content();
    assert.ok(!html.includes("2@second"), "the text itself is nowhere on the page");
  });

  it("an attempt starts only while somebody looks, and not again by itself", async () => {
    const page = await open();
    await screen(page, "qr-preparing");
    await listening(page);
    await waitFor(() => gateway.callsOf("reconnect").length === 1);
    gateway.emit("pairing.started", { attemptId: ATTEMPT_ID, method: "qr", phone: null });
    gateway.emit("pairing.abandoned", { attemptId: ATTEMPT_ID, reason: "unwatched" });
    await screen(page, "qr-ask");
    assert.equal(gateway.callsOf("reconnect").length, 1);
    await page.getByRole("button", { name: "Show a QR code" }).click();
    await waitFor(() => gateway.callsOf("reconnect").length === 2);
    await screen(page, "qr-preparing");
  });

  it("a touch phone opens with the code and burns no QR", async () => {
    const viewport = { width: 390, height: 844 };
    const page = await open({ viewport, hasTouch: true, isMobile: true });
    await screen(page, "entry");
    await page.getByRole("tab", { name: "Scan a QR code" }).click();
    await screen(page, "qr-ask");
    assert.deepEqual(gateway.callsOf("reconnect"), []);
  });
});

describe("by keyboard", () => {
  it("from the skip link to a code, and the focus goes to its heading", async () => {
    gateway.reply("pairing-code", {
      status: 200,
      body: {
        success: true,
        companyId: COMPANY_ID,
        pairingCode: CODE,
        code: CODE,
        expiresIn: "60 seconds",
        expiresInSeconds: 60,
        expiresAt: fromNow(60),
        serverTime: fromNow(0),
        attemptId: ATTEMPT_ID,
        phoneNumber: PHONE,
        codesLeft: 4,
      },
    });
    const page = await open();
    await screen(page, "qr-preparing");
    const press = async (key: string) => {
      await page.keyboard.press(key);
      return focused(page);
    };
    assert.equal(await press("Tab"), "Skip to the content");
    assert.match((await press("Tab")) ?? "", /^English/);
    assert.equal(await press("Tab"), "Scan a QR code");
    assert.equal(await press("ArrowRight"), "Type a code");
    await screen(page, "entry");
    await press("Tab");
    assert.equal(await press("Tab"), "country");
    assert.equal(await press("Tab"), "phone");
    await press("Enter");
    await screen(page, "code");
    assert.equal(await focused(page), "Type this code on the phone");
    assert.deepEqual(gateway.callsOf("pairing-code"), [{ phoneNumber: `+${PHONE}` }]);
    assert.match(
      (await region(page, "status")) ?? "",
      /^Your code: K, 7, W, M, 3, X, Q, P\. (60|59) seconds left$/,
    );
  });

  it("a country is found by typing", async () => {
    const page = await open();
    await page.getByRole("tab", { name: "Type a code" }).click();
    await page.locator("#country").click();
    await page.keyboard.type("braz");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator("#country").inputValue(), "+55 Brazil");
    assert.equal(await focused(page), "phone");
    await page.locator("#country").click();
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#country").inputValue(), "+55 Brazil");
  });

  it("unlinking asks; the safe answer has the focus and gives it back", async () => {
    gateway.status = linked();
    const page = await open();
    await screen(page, "already");
    await page.getByRole("button", { name: "Unlink" }).press("Enter");
    await page.locator("dialog[open]").waitFor();
    assert.equal(await focused(page), "Keep it linked");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    assert.equal(await focused(page), "Unlink");
    assert.deepEqual(gateway.callsOf("cleanup"), []);
    await page.getByRole("button", { name: "Unlink" }).click();
    await page.locator("dialog").getByRole("button", { name: "Unlink" }).click();
    await waitFor(() => gateway.callsOf("cleanup").length === 1);
  });
});

describe("the number", () => {
  it("pasted with a plus changes the country and says so", async () => {
    const page = await open();
    await page.getByRole("tab", { name: "Type a code" }).click();
    await page.locator("#phone").fill("+55 11 90000-1234");
    await page.locator("#phone").blur();
    await page.getByText("The number starts with +55").waitFor();
    assert.equal(await page.locator("#country").inputValue(), "+55 Brazil");
    assert.equal(await page.locator("#phone").inputValue(), "11 90000 1234");
  });

  it("an error comes on sending, is read out, and goes when it is right", async () => {
    const page = await open();
    await page.getByRole("tab", { name: "Type a code" }).click();
    await page.locator("#phone").fill("7700 9001");
    await page.getByRole("button", { name: "Get a code" }).click();
    await page
      .getByText(/digit is missing|digits are missing/)
      .first()
      .waitFor();
    assert.equal(await focused(page), "phone");
    assert.match((await region(page, "alert")) ?? "", /missing for United Kingdom/);
    await page.locator("#phone").pressSequentially("23");
    await page.getByText("The number as it is registered in WhatsApp.").waitFor();
    assert.deepEqual(gateway.callsOf("pairing-code"), []);
  });

  it("a failed try keeps it", async () => {
    gateway.reply("pairing-code", problem(422, "PHONE_NOT_ON_WHATSAPP"));
    const page = await open();
    await page.getByRole("tab", { name: "Type a code" }).click();
    await page.locator("#phone").fill("7700 900999");
    await page.getByRole("button", { name: "Get a code" }).click();
    await screen(page, "not-on-whatsapp");
    assert.equal(await page.locator("#phone").inputValue(), "7700 900999");
    const selected = await page.evaluate(() => getSelection()?.toString());
    assert.equal(selected, "7700 900999");
  });
});

describe("the code", () => {
  it("counts by the server's clock, whatever the device's says", async () => {
    gateway.status = pairing(codeAttempt(47));
    context = await browser.newContext({ viewport: WIDE, locale: "en-GB" });
    const page = await context.newPage();
    await page.clock.install({ time: "2031-05-05T05:05:05Z" });
    await page.goto(gateway.link);
    await screen(page, "code");
    await page.getByText(/^4[4-7] seconds left$/).waitFor();
  });

  it("is copied without its dash", async () => {
    gateway.status = pairing(codeAttempt(47));
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await screen(page, "code");
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByRole("button", { name: "Copied" }).waitFor();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "K7WM3XQP");
  });

  it("another language changes neither the code nor the attempt", async () => {
    gateway.status = pairing(codeAttempt(47));
    const page = await open();
    await screen(page, "code");
    const calls = gateway.calls.length;
    await page.locator("header select").selectOption("ru");
    await page.getByText("Введите этот код на телефоне").waitFor();
    assert.equal(await page.title(), "Подключение WhatsApp · Salon Aurora");
    assert.equal(gateway.calls.length, calls);
    await page.reload();
    await page.getByText("Введите этот код на телефоне").waitFor();
  });
});

describe("a server that is away", () => {
  it("is asked again by itself; a shown code stays", async () => {
    gateway.status = pairing(codeAttempt(47));
    const page = await open();
    await screen(page, "code");
    gateway.reply("status", CUT);
    const asked = gateway.callsOf("status").length;
    gateway.cutStreams();
    await waitFor(() => gateway.callsOf("status").length > asked);
    await screen(page, "code");
    gateway.reply("status", undefined);
    await waitFor(() => gateway.streamCount > 0, 8_000);
    gateway.emit("pairing.linking", { attemptId: ATTEMPT_ID });
    await screen(page, "linking");
  });

  it("is told with a countdown, and can be tried at once", async () => {
    gateway.reply("status", problem(503, "UNAVAILABLE", { retryAfter: 20 }));
    const page = await open();
    await screen(page, "unreachable");
    await page.getByText(/^Next try in (20|19|18) seconds$/).waitFor();
    gateway.reply("status", undefined);
    await page.getByRole("button", { name: "Try now" }).click();
    await screen(page, "qr-preparing");
  });

  it("the exchange is tried again with the same token", async () => {
    gateway.reply("link-exchange", CUT);
    const page = await open();
    await screen(page, "unreachable");
    gateway.reply("link-exchange", undefined);
    await page.getByRole("button", { name: "Try now" }).click();
    await screen(page, "qr-preparing");
  });
});

describe("linked", () => {
  it("says so, and nothing moves for those who want no motion", async () => {
    gateway.status = pairing(codeAttempt(30));
    const page = await open({ reducedMotion: "reduce" });
    await screen(page, "code");
    await listening(page);
    const running = () => page.evaluate(() => document.getAnimations().length);
    assert.equal(await running(), 0);
    const done = { attemptId: ATTEMPT_ID, method: "code", phone: PHONE, otherPhone: false };
    gateway.emit("pairing.succeeded", done);
    await screen(page, "linking");
    gateway.emit("session.connected", {
      status: "connected",
      reason: "open",
      previousStatus: "connecting",
      since: fromNow(0),
      provider: "linked",
      phone: PHONE,
      nextAction: "none",
    });
    await screen(page, "connected");
    assert.equal(await running(), 0);
    assert.match((await region(page, "status")) ?? "", /is linked$/);
  });

  it("the company's words are text, never HTML", async () => {
    const status = statusAnswer();
    const name = "<img src=x onerror=alert(1)> & Co";
    gateway.status = { ...status, company: { ...status.company, name } };
    const page = await open();
    await screen(page, "qr-preparing");
    assert.equal(await page.locator("h1").textContent(), `Link WhatsApp to ${name}`);
  });
});

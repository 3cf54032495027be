/** The simulated phone in a browser, against its control API scripted at the wire. */
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { renderSVG } from "uqr";
import { axeViolations, NARROW, openBrowser, screenshotPath, WIDE } from "./browser.ts";
import { FakeSimulator, linkedDevice } from "./fake-simulator.ts";
import { Build } from "./static-files.ts";

const MSISDN = "79001234567";

let built: Build;
let browser: Browser;
let simulator: FakeSimulator;
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
  simulator = await FakeSimulator.start(built);
});
afterEach(async () => {
  await context?.close();
  await simulator[Symbol.asyncDispose]();
});

async function open(address = ""): Promise<Page> {
  context = await browser.newContext({ viewport: WIDE, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(8_000);
  await page.goto(simulator.url + address);
  await page.getByRole("heading", { name: "Linked devices" }).waitFor();
  return page;
}

async function openScan(): Promise<Page> {
  const page = await open();
  await page.getByRole("button", { name: "Link a device" }).click();
  await page.getByRole("heading", { name: "Scan a QR code" }).waitFor();
  return page;
}

async function openCode(): Promise<Page> {
  const page = await openScan();
  await page.getByRole("button", { name: "Link with phone number instead" }).click();
  await page.getByLabel("Code, 8 characters").waitFor();
  return page;
}

const isLinked = (page: Page) => page.getByText("Chrome (Mac OS) is linked.").first().waitFor();

/** As a browser transfers what is dragged from another page. */
async function give(page: Page, event: "drop" | "paste", items: Record<string, string>) {
  await page.evaluate(
    ([name, entries]) => {
      const transfer = new DataTransfer();
      for (const [type, data] of entries) transfer.setData(type, data);
      const camera = [...document.querySelectorAll("main div")].find((element) =>
        element.textContent.startsWith("Drag the QR code"),
      );
      const options = { bubbles: true, cancelable: true };
      const made =
        name === "drop"
          ? new DragEvent("drop", { ...options, dataTransfer: transfer })
          : new ClipboardEvent("paste", { ...options, clipboardData: transfer });
      (name === "drop" ? (camera?.querySelector("p") ?? camera) : document.body)?.dispatchEvent(
        made,
      );
    },
    [event, Object.entries(items)] as const,
  );
}

const pictureOf = (text: string) =>
  `data:image/svg+xml,${encodeURIComponent(renderSVG(text, { ecc: "L", border: 4 }))}`;

describe("whose phone", () => {
  it("is the first one, another one from the list, or a new one", async () => {
    simulator.phone("56900001188");
    const page = await open();
    assert.ok(simulator.phones.has(MSISDN), "the first phone is made");
    await page.getByRole("button", { name: /\+56/ }).click();
    assert.match(page.url(), /\?phone=56900001188$/);
    await page.getByRole("button", { name: "Add a phone" }).click();
    await page.keyboard.type("12");
    await page.keyboard.press("Enter");
    await page.getByText("7 to 15 digits").waitFor();
    await page.getByLabel("Phone number").fill("+44 7700 900512");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /7700 900512/ }).waitFor();
    assert.ok(simulator.phones.has("447700900512"));
  });

  it("is kept by the address, and follows what happens elsewhere", async () => {
    simulator.phone("56900001188");
    const page = await open("?phone=56900001188");
    await page.getByText("Nothing is linked.").waitFor();
    simulator.change("56900001188", { devices: [linkedDevice(1)] });
    await page.getByText("1 of 4 places taken.").waitFor();
    simulator.emit("code-requested", { msisdn: "56900001188", display: "Chrome (Mac OS)" });
    await page.getByText("code request, Chrome (Mac OS)").waitFor();
  });
});

describe("scanning", () => {
  it("a QR that is dragged from the pairing page links", async () => {
    const page = await openScan();
    const picture = pictureOf(simulator.qr);
    await give(page, "drop", { "text/html": `<img src="${picture}">`, "text/uri-list": picture });
    await isLinked(page);
    await page.getByText("1 of 4 places taken.").waitFor();
  });

  it("so does a picture of a file", async () => {
    const page = await openScan();
    await page.locator("input[type=file]").setInputFiles({
      name: "qr.svg",
      mimeType: "image/svg+xml",
      buffer: Buffer.from(renderSVG(simulator.qr, { border: 4 })),
    });
    await isLinked(page);
  });

  it("and the pasted link text", async () => {
    const page = await openScan();
    await give(page, "paste", { "text/plain": ` ${simulator.qr}\n` });
    await isLinked(page);
  });

  it("a picture without a QR, an old QR, a full phone: it says so and can go on", async () => {
    const page = await openScan();
    const empty = encodeURIComponent(
      '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"><path d="M0 0h9v9z"/></svg>',
    );
    await give(page, "drop", { "text/uri-list": `data:image/svg+xml,${empty}` });
    await page.getByText("There is no QR code in this that can be read.").first().waitFor();
    for (const message of [
      "This QR code has expired. Scan the new one.",
      "You can't link more devices. Remove one first.",
      "The phone has no connection.",
    ]) {
      simulator.refusal = { code: "refused", message };
      await give(page, "paste", { "text/plain": simulator.qr });
      await page.getByText(message).first().waitFor();
    }
    simulator.refusal = undefined;
    await give(page, "paste", { "text/plain": simulator.qr });
    await isLinked(page);
  });
});

describe("a code", () => {
  it("is typed or pasted, with or without its dash", async () => {
    const page = await openCode();
    await page.keyboard.type("k7wm-3");
    const button = page.getByRole("button", { name: "Link device" });
    assert.ok(await button.isDisabled());
    await page.keyboard.type("xqp");
    assert.equal(await page.getByLabel("Code, 8 characters").inputValue(), "K7WM3XQP");
    await page.keyboard.press("Enter");
    await isLinked(page);
  });

  it("that is wrong says what a phone says, and is ready to be typed over", async () => {
    const page = await openCode();
    await page.keyboard.type("AAAA-AAAA");
    await page.keyboard.press("Enter");
    await page.getByText("Couldn't link device. Check the code and try again.").first().waitFor();
    await page.keyboard.type("K7WM3XQP");
    await page.keyboard.press("Enter");
    await isLinked(page);
  });

  it("that is asked for is shown, and leads straight to the cells", async () => {
    const page = await open();
    simulator.change(MSISDN, { pendingCode: true });
    await page.getByText("Somebody asks to link this phone with a code.").waitFor();
    await page.getByRole("button", { name: "Link a device" }).click();
    await page.getByLabel("Code, 8 characters").waitFor();
  });

  it("a phone that asks for a passkey does so for either way", async () => {
    const options = { maxDevices: 4, passkey: "on-scan" } as const;
    simulator.change(MSISDN, { options });
    simulator.refusal = {
      code: "passkey_required",
      message: "Confirm with your passkey to link this device.",
    };
    const page = await openCode();
    await page.keyboard.type("K7WM3XQP");
    await page.keyboard.press("Enter");
    await page.getByText("Confirm with your passkey").first().waitFor();
    assert.equal(simulator.phone(MSISDN).options.passkey, "after-finish");
  });
});

describe("the phone's own matters", () => {
  it("a device is logged out", async () => {
    simulator.change(MSISDN, { devices: [linkedDevice(1), linkedDevice(2)] });
    const page = await open();
    await page.getByRole("button", { name: "Log out" }).first().click();
    await page.getByText("1 of 4 places taken.").waitFor();
  });

  it("name, internet, account and passkey are switched", async () => {
    const page = await open();
    await page.getByRole("navigation").getByRole("button", { name: "This phone" }).click();
    await page.getByLabel("Name shown to others").fill("Lena");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: /Lena/ }).waitFor();
    await page.getByLabel("Connected to the internet").click();
    await page.getByRole("button", { name: /offline/ }).waitFor();
    await page.getByLabel("Asks for a passkey").click();
    await page.getByRole("button", { name: /asks for a passkey/ }).waitFor();
    assert.equal(simulator.phone(MSISDN).options.maxDevices, 4, "other options stay");
  });

  it("faults are caused", async () => {
    const page = await open();
    await page.getByRole("button", { name: "Drop the connection" }).click();
    await page.getByRole("status").getByText("drop: 1 connection").first().waitFor();
    assert.deepEqual(simulator.faults, [{ kind: "drop", phone: MSISDN }]);
    await page.getByRole("button", { name: "End all trouble" }).click();
    await page.getByText("no standing faults").first().waitFor();
    assert.equal(simulator.faults.at(-1), "DELETE");
  });
});

describe("looks", () => {
  it("right for everybody, in both widths and themes", async () => {
    simulator.phone("56900001188");
    simulator.change(MSISDN, { devices: [linkedDevice(1)], name: "Автосервис 66" });
    const page = await open();
    const check = async (name: string): Promise<void> => {
      for (const [size, viewport] of Object.entries({ wide: WIDE, narrow: NARROW })) {
        await page.setViewportSize(viewport);
        for (const colorScheme of ["light", "dark"] as const) {
          await page.emulateMedia({ colorScheme });
          assert.deepEqual(await axeViolations(page), [], `${name} ${size} ${colorScheme}`);
          const path = screenshotPath(`phone-${name}-${size}-${colorScheme}`);
          await page.screenshot({ path, fullPage: true });
        }
      }
      await page.setViewportSize({ width: 320, height: 640 });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.equal(width, 320, name);
    };
    await check("devices");
    await page.getByRole("button", { name: "Link a device" }).click();
    await check("scan");
    await page.getByRole("button", { name: "Link with phone number instead" }).click();
    await page.keyboard.type("K7WM3");
    await check("code");
    await page.getByRole("navigation").getByRole("button", { name: "This phone" }).click();
    await check("me");
  });
});

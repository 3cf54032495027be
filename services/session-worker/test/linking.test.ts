/** The linking half of the linked provider, with the real Baileys against the simulated WhatsApp. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Phone } from "@manyline/contracts";
import { startWhatsAppSimulator, type WhatsAppSimulator } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import type { ConnectionEnd, LinkConnection, LinkHandlers } from "../src/providers/provider.ts";
import { unpackCreds } from "../src/providers/linked/credentials.ts";
import { openLink } from "../src/providers/linked/link.ts";
import { prepareProcess } from "../src/providers/linked/process-setup.ts";
import { createSharedCaches } from "../src/providers/linked/shared-caches.ts";

let simulator: WhatsAppSimulator;
const caches = createSharedCaches();
let serial = 0;

before(async () => {
  simulator = await startWhatsAppSimulator({ port: 0 });
  prepareProcess({ url: simulator.url, rootKey: Buffer.from(simulator.rootPublicKey, "hex") });
});
after(async () => {
  await simulator.close();
  caches.close();
});

type Seen = {
  link: LinkConnection;
  events: string[];
  paired?: { phone: Phone; credentials: Buffer };
  end?: ConnectionEnd;
};

function open(overrides: Partial<LinkHandlers> = {}, watchdogMs = 30_000): Seen {
  const events: string[] = [];
  serial += 1;
  const link = openLink(
    `num_${serial}`,
    {
      url: simulator.url,
      version: undefined,
      deviceName: "Manyline",
      watchdogMs,
      keepAliveMs: 60_000,
      queryTimeoutMs: 5_000,
    },
    caches,
    {
      onReady: () => void events.push("ready"),
      onRotated: async () => void events.push("rotated"),
      onPhoneAnswered: () => void events.push("answered"),
      onCodeRetired: () => void events.push("retired"),
      onPasskey: ({ expiresInMs }) => void events.push(`passkey ${expiresInMs}`),
      onPaired: async (paired) => {
        seen.paired = paired;
        events.push("paired");
      },
      onClosed: (end) => {
        seen.end = end;
        events.push(`closed ${end.code}`);
      },
      ...overrides,
    },
  );
  const seen: Seen = { link, events };
  return seen;
}

function phoneNumber(): Phone {
  serial += 1;
  return `4917012${String(10_000 + serial)}` as Phone;
}

async function ready(overrides: Partial<LinkHandlers> = {}): Promise<Seen> {
  const seen = open(overrides);
  await until(() => seen.events.includes("ready"), { label: "refs" });
  return seen;
}

async function code(seen: Seen, phone: Phone): Promise<string> {
  const answer = await seen.link.requestCode(phone);
  assert.ok("code" in answer, JSON.stringify(answer));
  return answer.code;
}

describe("by QR", () => {
  it("links; credentials hold me and account; WhatsApp asks for the restart", async () => {
    const seen = await ready();
    const qr = seen.link.nextQr();
    assert.match(qr ?? "", /^https:\/\/wa\.me\/settings\/linked_devices#([^,]+,){4}/);
    const phone = phoneNumber();
    await simulator.server.phone(phone).scan(qr ?? "");
    await until(() => seen.end !== undefined, { label: "restart" });
    assert.deepEqual(seen.events, ["ready", "paired", "closed 515"]);
    assert.equal(seen.paired?.phone, phone);
    const creds = unpackCreds(seen.paired?.credentials ?? Buffer.from("{}"));
    assert.ok(creds.me?.id.startsWith(phone) && creds.account);
  });

  it("answers WhatsApp only after the credentials are stored", async () => {
    const stored = Promise.withResolvers<void>();
    const seen = await ready({ onPaired: () => stored.promise });
    const phone = phoneNumber();
    const scan = simulator.server.phone(phone).scan(seen.link.nextQr() ?? "");
    let isLinked = false;
    void scan.then(() => (isLinked = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(isLinked, false, "no device before the commit");
    stored.resolve();
    await scan;
  });

  it("leaves no device on the phone when storing fails", async () => {
    const seen = await ready({ onPaired: () => Promise.reject(new Error("no database")) });
    const phone = phoneNumber();
    await assert.rejects(simulator.server.phone(phone).scan(seen.link.nextQr() ?? ""));
    assert.equal(simulator.server.account(phone).devices.size, 0);
  });

  it("companion_reg_refresh on a scan: the redrawn QR links, the retired one does not", async () => {
    const phone = phoneNumber();
    simulator.server.account(phone).overrides = { companionRefresh: "on-scan" };
    const seen = await ready();
    const first = seen.link.nextQr() ?? "";
    await assert.rejects(simulator.server.phone(phone).scan(first), /couldn't link/i);
    await until(() => seen.events.includes("rotated"), { label: "rotation" });
    const second = seen.link.redraw() ?? "";
    assert.notEqual(second, first);
    assert.equal(second.split(",")[0], first.split(",")[0], "the ref stays");
    await simulator.server.phone(phone).scan(second);
    assert.equal(seen.paired?.phone, phone);
  });

  it("companion_reg_refresh before a scan: what is drawn afterwards links", async (t) => {
    simulator.server.options.companionRefresh = "before-scan";
    t.after(() => {
      simulator.server.options.companionRefresh = "never";
    });
    const seen = await ready();
    await until(() => seen.events.includes("rotated"), { label: "rotation" });
    const phone = phoneNumber();
    await simulator.server.phone(phone).scan(seen.link.nextQr() ?? "");
    assert.equal(seen.paired?.phone, phone);
  });
});

describe("by code", () => {
  it("a code exists once WhatsApp accepted it; typed, it links", async () => {
    const seen = await ready();
    const phone = phoneNumber();
    const value = await code(seen, phone);
    assert.match(value, /^[1-9A-HJ-NP-TV-Z]{8}$/);
    await simulator.server
      .phone(phone)
      .enterCode(`${value.slice(0, 4)}-${value.slice(4).toLowerCase()}`);
    await until(() => seen.end !== undefined, { label: "restart" });
    assert.deepEqual(seen.events, ["ready", "answered", "paired", "closed 515"]);
  });

  it("a mistyped code answers too, and the right one links afterwards", async () => {
    const seen = await ready();
    const phone = phoneNumber();
    const value = await code(seen, phone);
    await assert.rejects(simulator.server.phone(phone).enterCode("ZZZZ-ZZZZ"));
    await simulator.server.phone(phone).enterCode(value);
    assert.deepEqual(seen.events.slice(0, 4), ["ready", "answered", "answered", "paired"]);
  });

  it("companion_reg_refresh between finish and pair-success still links", async () => {
    const phone = phoneNumber();
    simulator.server.account(phone).overrides = { companionRefresh: "after-finish" };
    const seen = await ready();
    await simulator.server.phone(phone).enterCode(await code(seen, phone));
    assert.ok(
      seen.events.includes("rotated") && seen.events.includes("paired"),
      seen.events.join(),
    );
  });

  for (const [answer, expected] of [
    [400, "WHATSAPP_REFUSED"],
    [403, "WHATSAPP_REFUSED"],
    [404, "PHONE_NOT_ON_WHATSAPP"],
    [429, "WHATSAPP_REFUSED"],
    [452, "WHATSAPP_REFUSED"],
    [500, "PAIRING_CODE_FAILED"],
  ] as const) {
    it(`WhatsApp answers ${answer}: ${expected}, and the socket stays usable`, async () => {
      const phone = phoneNumber();
      simulator.server.account(phone).overrides = { helloAnswer: answer };
      const seen = await ready();
      const refused = await seen.link.requestCode(phone);
      assert.equal("refused" in refused ? refused.refused : "", expected);
      simulator.server.account(phone).overrides = {};
      await simulator.server.phone(phone).enterCode(await code(seen, phone));
    });
  }

  it("a passkey is reported and acknowledged, the socket stays open", async () => {
    const phone = phoneNumber();
    simulator.server.account(phone).overrides = { passkey: "after-finish" };
    const seen = await ready();
    await assert.rejects(
      simulator.server.phone(phone).enterCode(await code(seen, phone)),
      /passkey/i,
    );
    await until(() => seen.events.includes("passkey 600000"), { label: "passkey" });
    assert.equal(seen.end, undefined);
    seen.link.close();
  });
});

describe("a server that does not behave", () => {
  it("an HTTP error instead of the upgrade ends the socket", async () => {
    simulator.server.faults.add("refuse-upgrades", {}, { status: 503 }, 1);
    const seen = open();
    await until(() => seen.end !== undefined, { label: "end" });
    assert.equal(seen.end?.code, 428);
    assert.match(seen.end?.message ?? "", /503/);
  });

  it("silence ends the socket by the watchdog", async () => {
    const { createServer } = await import("node:net");
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address ? address.port : 0;
    const ended = Promise.withResolvers<ConnectionEnd>();
    openLink(
      "num_silent",
      {
        url: `ws://127.0.0.1:${port}/`,
        version: undefined,
        deviceName: "Manyline",
        watchdogMs: 500,
        keepAliveMs: 60_000,
        queryTimeoutMs: 5_000,
      },
      caches,
      {
        onReady: () => undefined,
        onRotated: async () => undefined,
        onPhoneAnswered: () => undefined,
        onCodeRetired: () => undefined,
        onPasskey: () => undefined,
        onPaired: async () => undefined,
        onClosed: ended.resolve,
      },
    );
    const end = await ended.promise;
    assert.notEqual(end.code, undefined);
    silent.close();
  });

  it("nothing was left unanswered by the simulator", () => {
    assert.deepEqual(simulator.server.unhandled, []);
  });
});

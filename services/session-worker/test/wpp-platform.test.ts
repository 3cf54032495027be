import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  startWppPlatform,
  type WppPlatformOptions,
  type WppPlatformSimulator,
} from "@manyline/simulators/wpp";
import { until } from "@manyline/testkit";
import { WppError, type WppErrorKind } from "../src/providers/wpp/errors.ts";
import type { WppFigures } from "../src/providers/wpp/http.ts";
import { type WppAccount, WppPlatform } from "../src/providers/wpp/platform.ts";

const ANN = "79000000001";
const QUICK = { timeoutMs: 2_000, retryMs: [5, 10], activationMs: [20, 40] };

type Room = AsyncDisposable & { sim: WppPlatformSimulator; platform: WppPlatform };

async function room(
  options: WppPlatformOptions = {},
  figures: Partial<WppFigures> = {},
): Promise<Room> {
  const sim = await startWppPlatform(options);
  const platform = new WppPlatform({ ...QUICK, url: `${sim.url}//`, ...figures });
  return { sim, platform, [Symbol.asyncDispose]: () => sim.close() };
}

async function accountOf({ sim, platform }: Room, organizationId = "962302"): Promise<WppAccount> {
  return platform.account(await platform.create(sim.options.secret, organizationId));
}

async function connected(made: Room): Promise<WppAccount> {
  const account = await accountOf(made);
  await account.start();
  await until(() => made.sim.world.bySession(account.session).state === "qr");
  made.sim.scan(account.session, "79000000099");
  return account;
}

const isKind =
  (kind: WppErrorKind, more: Partial<WppError> = {}) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof WppError, String(error));
    assert.equal(error.kind, kind);
    for (const [key, value] of Object.entries(more)) {
      assert.equal(error[key as keyof WppError], value, key);
    }
    return true;
  };
const callsOf = ({ sim }: Room, name: string): number =>
  sim.calls.filter((call) => call.name === name).length;
const answers = (status: number, body: object = {}, headers?: Record<string, string>) => ({
  answer: { status, body, ...(headers ? { headers } : {}) },
});

describe("a client", () => {
  it("keeps the session as the text it is", async () => {
    await using made = await room();
    const { session, apiKey, status } = await made.platform.create(
      made.sim.options.secret,
      "962302",
    );
    assert.deepEqual([session, status], ["0000000000001", "starting"]);
    assert.match(apiKey, /^k_/);
  });

  it("goes from start over the QR to connected", async () => {
    for (const qrForm of ["data_url", "base64", "text", "nested"] as const) {
      await using made = await room({ qrForm });
      const account = await accountOf(made);
      assert.equal(await account.status(), "offline");
      assert.deepEqual(await account.start(), { state: "starting", qr: null });
      await until(async () => (await account.status()) === "qr");
      const qr = await account.qr();
      assert.ok(
        qr &&
          (qrForm === "text"
            ? "text" in qr
            : "image" in qr && qr.image.startsWith("data:image/png;base64,iVBOR")),
      );
      assert.deepEqual(await account.start(), { state: "qr", qr });
      made.sim.scan(account.session, "79000000099");
      assert.equal(await account.status(), "connected");
      assert.equal((await account.start()).state, "connected");
      assert.equal(await account.qr(), null);
      await account.stop();
      assert.equal(await account.status(), "offline");
    }
  });

  it("sends, takes back, reacts, and fetches files", async () => {
    await using made = await room();
    const account = await connected(made);
    await account.registerWebhook("http://127.0.0.1:9/hook");
    const { taskId } = await account.sendText(ANN, "hello");
    await account.sendImage(ANN, "https://files.example/a.jpg", "a cat");
    await account.sendFile(ANN, "https://files.example/a.pdf", "a.pdf");
    await account.sendLocation(ANN, { latitude: 1.5, longitude: 2, name: "Home" });
    const sent = [...made.sim.world.tasks.values()].map(({ to, body }) => ({
      to,
      kind: body["kind"],
    }));
    assert.deepEqual(
      sent,
      ["text", "image", "file", "location"].map((kind) => ({ to: ANN, kind })),
    );
    assert.equal(await account.deleteMessage(String(taskId)), true);
    assert.equal(await account.deleteMessage(String(taskId)), false);
    await account.react(ANN, "3EB0", "👍");
    assert.deepEqual(
      made.sim.world.reactions.map(({ to, emoji }) => [to, emoji]),
      [[`+${ANN}`, "👍"]],
    );
    made.sim.world.files.set("m/1", {
      bytes: Buffer.from("file"),
      mimeType: "image/png",
      fileName: "a.png",
    });
    const { chunks, ...facts } = await account.media("m/1");
    assert.deepEqual(facts, { mimeType: "image/png", fileName: "a.png" });
    const bytes: Uint8Array[] = [];
    for await (const chunk of chunks) bytes.push(chunk);
    assert.equal(Buffer.concat(bytes).toString(), "file");
    // All but status, qr and stop, which are above.
    assert.equal(new Set(made.sim.calls.map(({ name }) => name)).size, 11);
  });

  it("sends images as files once the platform has said that it takes none", async () => {
    await using made = await room();
    const account = await connected(made);
    made.sim.faults.add({ call: "image", effect: answers(404) });
    await account.sendImage(ANN, "https://files.example/a.jpg", "a cat");
    await account.sendImage(ANN, "https://files.example/b.jpg", "a dog");
    assert.deepEqual([callsOf(made, "image"), callsOf(made, "file")], [1, 2]);
  });
});

describe("a token", () => {
  it("is asked for once, however many calls want it, and again before its end", async () => {
    let now = Date.now();
    await using made = await room({ tokenTtlMs: 900_000 }, { now: () => now });
    const account = await accountOf(made);
    await Promise.all([account.status(), account.qr(), account.status()]);
    assert.equal(callsOf(made, "token"), 1);
    now += 839_000;
    await account.status();
    assert.equal(callsOf(made, "token"), 1);
    now += 2_000;
    await account.status();
    assert.equal(callsOf(made, "token"), 2);
  });

  it("ends when expiresIn says, else when it says itself, else after 15 minutes", async () => {
    const now = Date.now();
    const endWith = async (options: WppPlatformOptions, answer?: object): Promise<number> => {
      await using made = await room(options, { now: () => now });
      const key = await made.platform.create(made.sim.options.secret, "962302");
      if (answer) made.sim.faults.add({ call: "token", effect: answers(200, answer) });
      let end = 0;
      const account = made.platform.account(key, { onToken: ({ expiresAt }) => (end = expiresAt) });
      await account.firstToken(false);
      return Math.round((end - now) / 1_000);
    };
    assert.equal(await endWith({ tokenTtlMs: 120_000 }), 120);
    const byClaim = await endWith({ tokenTtlMs: 300_000, tellsExpiry: false });
    assert.ok(byClaim >= 299 && byClaim <= 302, String(byClaim));
    assert.equal(await endWith({}, { token: "no-jwt" }), 900);
  });

  it("that is refused is replaced once, and only once", async () => {
    await using made = await room();
    const account = await connected(made);
    made.sim.faults.add({ call: "text", effect: answers(401), next: 1 });
    await account.sendText(ANN, "hello");
    assert.equal(made.sim.world.tasks.size, 1);
    made.sim.faults.add({ call: "status", effect: answers(401) });
    const before = callsOf(made, "status");
    await assert.rejects(account.status(), isKind("unauthorised", { httpStatus: 401 }));
    assert.equal(callsOf(made, "status") - before, 2);
  });

  it("is kept from before", async () => {
    await using made = await room();
    const key = await made.platform.create(made.sim.options.secret, "962302");
    let known;
    await made.platform.account(key, { onToken: (token) => (known = token) }).status();
    await made.platform.account(key, { known }).status();
    assert.equal(callsOf(made, "token"), 1);
  });
});

describe("a new key", () => {
  it("is tried three times, with pauses, until it is active", async () => {
    await using made = await room({ activationMs: 50 });
    const account = await accountOf(made);
    await account.firstToken(false);
    assert.equal(callsOf(made, "token"), 3);
  });

  it("that never works is not active yet, or somebody's already", async () => {
    await using made = await room({ activationMs: 60_000 });
    const account = await accountOf(made);
    await assert.rejects(account.firstToken(false), isKind("key_not_active", { httpStatus: 403 }));
    assert.equal(callsOf(made, "token"), 3);
    await using other = await room();
    await connected(other);
    const again = await accountOf(other);
    await assert.rejects(again.firstToken(true), isKind("key_reused", { httpStatus: 403 }));
  });

  it("that is refused later on is invalid, without more tries", async () => {
    await using made = await room();
    const account = await accountOf(made);
    made.sim.faults.add({ call: "token", effect: answers(403, { error: "Invalid API key" }) });
    await assert.rejects(account.status(), isKind("key_invalid", { httpStatus: 403 }));
    assert.equal(callsOf(made, "token"), 1);
  });
});

describe("what goes wrong", () => {
  it("a second number under its own id has its own key and session; nothing clashes", async () => {
    await using made = await room();
    const accounts = [];
    for (const id of ["962302", "962302__wpp__1a2b3c4d", "962302__wpp__5e6f7a8b"]) {
      const account = await accountOf(made, id);
      await account.firstToken(id === "962302");
      await account.start();
      await until(async () => (await account.qr()) !== null);
      made.sim.scan(account.session, `7900000009${accounts.length}`);
      accounts.push(account);
    }
    assert.equal(new Set(accounts.map(({ session }) => session)).size, 3);
    for (const account of accounts) assert.equal(await account.status(), "connected");
    assert.ok(made.sim.calls.every(({ status }) => status === 200));
  });

  it("a start that takes too long is told as such and not repeated", async () => {
    await using made = await room({ onReissue: 504 });
    const first = await connected(made);
    const second = await accountOf(made);
    assert.equal(second.session, first.session);
    const before = callsOf(made, "start");
    await assert.rejects(second.start(), isKind("gateway_timeout", { httpStatus: 504 }));
    assert.equal(callsOf(made, "start") - before, 1);
  });

  it("what does no harm twice is tried three times, a message never where it may have left", async () => {
    await using made = await room();
    const account = await connected(made);
    made.sim.faults.add({ call: "status", effect: answers(502), next: 2 });
    assert.equal(await account.status(), "connected");
    made.sim.faults.add({ call: "text", effect: { cut: "after" }, next: 1 });
    await assert.rejects(account.sendText(ANN, "a"), isKind("unreachable", { mayHaveLeft: true }));
    made.sim.faults.add({ call: "text", effect: answers(503), next: 1 });
    await assert.rejects(account.sendText(ANN, "b"), isKind("unreachable", { mayHaveLeft: true }));
    assert.equal(callsOf(made, "text"), 2);
    made.sim.faults.add({
      call: "text",
      effect: answers(429, {}, { "retry-after": "0.01" }),
      next: 1,
    });
    await account.sendText(ANN, "c");
    assert.deepEqual(
      [...made.sim.world.tasks.values()].map(({ body }) => body["text"]),
      ["a", "c"],
    );
  });

  it("a create whose answer is lost gives the same client when it is repeated", async () => {
    await using made = await room();
    made.sim.faults.add({ call: "create", effect: { cut: "after" }, next: 1 });
    const account = await accountOf(made);
    assert.equal(account.session, "0000000000001");
    assert.equal(made.sim.world.clients.size, 1);
  });

  it("time limits, wrong secrets and answers that lack what they must have", async () => {
    await using made = await room({}, { timeoutMs: 60, retryMs: [] });
    const account = await accountOf(made);
    made.sim.faults.add({ call: "status", effect: { delayMs: 2_000 }, next: 1 });
    const before = performance.now();
    await assert.rejects(account.status(), isKind("unreachable"));
    assert.ok(performance.now() - before < 1_500);
    await assert.rejects(
      made.platform.create("wrong", "x"),
      isKind("unauthorised", { httpStatus: 401 }),
    );
    made.sim.faults.add({ call: "create", effect: answers(200, { session: "1" }), next: 1 });
    await assert.rejects(made.platform.create(made.sim.options.secret, "x"), isKind("unreadable"));
  });

  it("a page where an answer is due tells nothing: no state, and of a message not that it was taken", async () => {
    await using made = await room({}, { retryMs: [] });
    const account = await connected(made);
    for (const body of ["<html>maintenance</html>", "", "[]", "null", '{"status":']) {
      made.sim.faults.add({ effect: { answer: { status: 200, body } }, next: 2 });
      await assert.rejects(account.status(), isKind("unreadable"));
      await assert.rejects(account.sendText(ANN, "a"), isKind("unreadable", { mayHaveLeft: true }));
      made.sim.faults.add({ effect: { answer: { status: 200, body } }, next: 3 });
      assert.equal(await account.qr(), null);
      await account.registerWebhook("http://127.0.0.1:9/");
      assert.equal((await account.start()).state, "starting");
    }
    assert.equal(await account.status(), "connected");
    await assert.rejects(account.media(".."), isKind("not_found"));
  });

  it("a no within a 200 is a no, and an account that is offline says so", async () => {
    await using made = await room();
    const account = await accountOf(made);
    await assert.rejects(account.sendText(ANN, "a"), (error: unknown) => {
      assert.match(String(error), /Account is offline/);
      return isKind("refused", { mayHaveLeft: false })(error);
    });
    assert.equal(await account.status(), "offline");
  });

  it("no error repeats a key, a token or what was sent", async () => {
    await using made = await room({}, { retryMs: [] });
    const key = await made.platform.create(made.sim.options.secret, "962302");
    const account = made.platform.account(key);
    for (const status of [400, 403, 404, 500, 504]) {
      made.sim.faults.add({
        call: "text",
        effect: answers(status, { error: `secret text ${key.apiKey}` }),
        next: 1,
      });
      await assert.rejects(account.sendText(ANN, "secret text"), (error: unknown) => {
        assert.doesNotMatch(`${String(error)} ${JSON.stringify(error)}`, /secret text|k_/);
        return true;
      });
    }
  });
});

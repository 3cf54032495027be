import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import type { Answer, PairingApi } from "./api.ts";
import { createServerClock } from "./clock.ts";
import { PairingController } from "./controller.ts";
import { screenOf } from "./screen.ts";
import { initialState } from "./state.ts";
import type { StreamHandlers } from "./stream.ts";
import { answer, attempt, T0 } from "./testing.ts";

const away: Answer<never> = {
  ok: false,
  problem: {
    status: 0,
    code: "NETWORK",
    retryAfterSeconds: undefined,
    until: undefined,
    reference: undefined,
    isPaused: false,
  },
};

/** A page with a scripted server. */
function setUp(token?: string) {
  const asked: string[] = [];
  let status: Answer<ReturnType<typeof answer>> = { ok: true, body: answer() };
  let isVisible = true;
  let stream: StreamHandlers | undefined;
  let openStreams = 0;
  const api: PairingApi = {
    exchange: async () => {
      asked.push("exchange");
      return { ok: true, body: { companyId: "1", numberId: "num_1", expiresAt: "" } };
    },
    status: async () => {
      asked.push("status");
      return status;
    },
    reconnect: async () => {
      asked.push("reconnect");
      return { ok: true, body: {} };
    },
    pairingCode: async () => away,
    cleanup: async () => away,
    eventsUrl: () => "/events",
  };
  const controller = new PairingController(
    initialState({ now: T0, isPhone: false }),
    { token, companyId: token ? undefined : "962302" },
    {
      api,
      clock: createServerClock(),
      openStream: (_url, handlers) => {
        stream = handlers;
        openStreams += 1;
        return () => {
          openStreams -= 1;
        };
      },
      isVisible: () => isVisible,
      isOnline: () => true,
      onExchanged: (companyId) => asked.push(`exchanged ${companyId}`),
    },
  );
  return {
    controller,
    asked,
    answerWith: (next: typeof status) => {
      status = next;
    },
    endStream: () => {
      openStreams -= 1;
      stream?.onEnd();
    },
    setVisible: (visible: boolean) => {
      isVisible = visible;
      controller.visibilityChanged();
    },
    openStreams: () => openStreams,
  };
}

/** Lets what was promised happen. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe("the controller", () => {
  beforeEach(() => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: T0 }));
  afterEach(() => mock.timers.reset());

  it("exchanges the token, asks, listens, and starts one attempt", async () => {
    const { controller, asked, openStreams } = setUp("mlk_token");
    controller.start();
    await settle();
    assert.deepEqual(asked, ["exchange", "exchanged 1", "status", "reconnect"]);
    assert.equal(openStreams(), 1);
    mock.timers.tick(5_000);
    await settle();
    assert.equal(asked.filter((what) => what === "reconnect").length, 1);
    controller.stop();
  });

  it("a hidden page starts nothing, and stops watching its QR after a while", async () => {
    const page = setUp();
    page.answerWith({ ok: true, body: answer({ attempt: attempt() }) });
    page.controller.start();
    await settle();
    page.setVisible(false);
    mock.timers.tick(19_000);
    assert.equal(page.openStreams(), 1);
    mock.timers.tick(2_000);
    assert.equal(page.openStreams(), 0);
    page.setVisible(true);
    await settle();
    assert.equal(page.openStreams(), 1, "who comes back sees how it is");
    page.controller.stop();
  });

  it("a lost stream is opened again; only a failed try is told", async () => {
    const page = setUp();
    page.controller.start();
    await settle();
    page.endStream();
    assert.notEqual(screenOf(page.controller.state), "unreachable");
    page.answerWith(away);
    mock.timers.tick(1_300);
    await settle();
    assert.equal(screenOf(page.controller.state), "unreachable");
    page.answerWith({ ok: true, body: answer() });
    mock.timers.tick(1_300);
    await settle();
    assert.notEqual(screenOf(page.controller.state), "unreachable");
    assert.equal(page.openStreams(), 1);
    page.controller.stop();
  });

  it("tells a pause by an operator from a start", async () => {
    const page = setUp();
    page.answerWith({ ok: true, body: answer({ reason: "no_owner", isPaused: true }) });
    page.controller.start();
    await settle();
    assert.equal(page.controller.state.lost?.why, "paused");
    page.controller.stop();
  });

  it("without an owner it goes on asking, more and more slowly", async () => {
    const page = setUp();
    page.answerWith({ ok: true, body: answer({ reason: "no_owner" }) });
    page.controller.start();
    await settle();
    assert.equal(page.controller.state.lost?.why, "starting");
    for (let second = 0; second < 30; second++) {
      mock.timers.tick(1_000);
      await settle();
    }
    const count = page.asked.filter((what) => what === "status").length;
    assert.ok(count >= 4 && count <= 7, `asked ${count} times in 30 s`);
    assert.ok(!page.asked.includes("reconnect"));
    page.controller.stop();
  });
});

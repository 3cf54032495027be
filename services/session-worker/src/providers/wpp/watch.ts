/** Looks after one session at its server: starts it, tells its QRs, sees it connect and be lost. */
import { setTimeout as sleep } from "node:timers/promises";
import type { WppQr } from "@manyline/contracts";
import type { ConnectionEnd } from "../provider.ts";
import { WppError } from "./errors.ts";
import type { WppLine } from "./line.ts";

/** How a number ends, as in domain/closing-reasons.ts. */
const ENDS = { away: 503, lost: 428, loggedOut: 401, key: 471, unscanned: 473 } as const;
/** Between two questions: while it is connected; while it is on its way, from the first to the longest pause. */
const POLL_MS = { open: 30_000, first: 500, most: 5_000, growth: 1.5 } as const;
const LEAST_MS = 100;
/** So many questions in a row without an answer, and it counts as lost. */
const MOST_SILENCES = 3;
/** A session that was started and says that it is offline may just not have come up yet. */
const COMING_UP_MS = 20_000;
/** A QR that stays for longer is told again: it is not to run out on the page. */
const SHOWN_MS = 45_000;
/** So long somebody may take to scan, over all the QRs that the server draws. */
const SCAN_MS = 300_000;

export type WatchHandlers = {
  webhookUrl: string | undefined;
  onOpen(phone: string | null, asOf: Date): void;
  /** It was asked again, and is connected still. */
  onAlive(asOf: Date): void;
  /** Else a session that has to be scanned again was logged out. */
  mayScan(): boolean;
  onQr(qr: string, asOf: Date): void;
  /** Once; nothing follows it. */
  onClosed(end: ConnectionEnd): void;
  /** Something beside that went wrong, for the log. */
  onFailed(what: "webhook" | "start" | "phone", error: unknown): void;
};

export type Watched = {
  stop(): void;
  /** Ask now, instead of after the pause. */
  nudge(event: string): void;
};

export function watchLine(line: WppLine, handlers: WatchHandlers): Watched {
  const stopping = new AbortController();
  const watch = new Watch(line, handlers, stopping.signal);
  // As with a connection: what comes of it is told after this function has returned.
  setImmediate(() => void watch.run());
  return {
    stop: () => stopping.abort(),
    nudge: (event) => watch.nudge(event),
  };
}

class Watch {
  readonly #line: WppLine;
  readonly #handlers: WatchHandlers;
  readonly #signal: AbortSignal;
  readonly #since = performance.now();
  #wake = new AbortController();
  #pauseMs: number = POLL_MS.first;
  #isOpen = false;
  #silences = 0;
  #startedAt: number | undefined;
  #isToldLoggedOut = false;
  #shown: { text: string; at: number } | undefined;

  constructor(line: WppLine, handlers: WatchHandlers, signal: AbortSignal) {
    this.#line = line;
    this.#handlers = handlers;
    this.#signal = signal;
  }

  nudge(event: string): void {
    if (event === "session.logged_out") this.#isToldLoggedOut = true;
    this.#pauseMs = POLL_MS.first;
    this.#wake.abort();
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      // Whoever wakes us while we ask wants to be asked once more.
      this.#wake = new AbortController();
      const end = await this.#look();
      if (this.#signal.aborted) return;
      if (end) {
        this.#handlers.onClosed({ code: ENDS[end], message: `the WPP session ended: ${end}` });
        return;
      }
      const pause = this.#isOpen ? POLL_MS.open : this.#pauseMs;
      this.#pauseMs = Math.min(POLL_MS.most, this.#pauseMs * POLL_MS.growth);
      // Whoever wakes us over and over does not make us ask without a pause.
      await sleep(LEAST_MS, undefined, { signal: this.#signal, ref: false }).catch(() => undefined);
      const signal = AbortSignal.any([this.#signal, this.#wake.signal]);
      await sleep(pause, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  /** Why it is over; undefined: it goes on. */
  async #look(): Promise<keyof typeof ENDS | undefined> {
    const asOf = new Date();
    try {
      const word = await this.#line.status();
      this.#silences = 0;
      if (word === "connected") return await this.#connected(asOf);
      // To be scanned again is what a phone does that has removed the device.
      if (this.#isToldLoggedOut) return "loggedOut";
      if (this.#isOpen) return word === "qr" ? "loggedOut" : "lost";
      if (word === "qr" && !this.#handlers.mayScan()) return "loggedOut";
      if (word === "offline") return await this.#bringUp(asOf);
      this.#startedAt ??= performance.now();
      this.#show(await this.#line.qr(), asOf);
      return performance.now() - this.#since > SCAN_MS ? "unscanned" : undefined;
    } catch (error) {
      return this.#failed(error);
    }
  }

  async #connected(asOf: Date): Promise<undefined> {
    this.#isToldLoggedOut = false;
    if (this.#isOpen) {
      this.#handlers.onAlive(asOf);
      return undefined;
    }
    this.#isOpen = true;
    let phone: string | null = null;
    const { webhookUrl } = this.#handlers;
    const onFailed: WatchHandlers["onFailed"] = (what, error) =>
      this.#handlers.onFailed(what, error);
    // It may have been started by somebody who told it of no webhook.
    if (webhookUrl !== undefined) {
      await this.#line
        .registerWebhook(webhookUrl)
        .catch((error: unknown) => onFailed("webhook", error));
    }
    try {
      phone = await this.#line.phone();
    } catch (error) {
      onFailed("phone", error);
    }
    if (!this.#signal.aborted) this.#handlers.onOpen(phone, asOf);
    return undefined;
  }

  async #bringUp(asOf: Date): Promise<keyof typeof ENDS | undefined> {
    if (this.#startedAt !== undefined) {
      return performance.now() - this.#startedAt > COMING_UP_MS ? "lost" : undefined;
    }
    this.#startedAt = performance.now();
    try {
      const { state, qr } = await this.#line.start(this.#handlers.webhookUrl);
      if (state === "connected") return await this.#connected(asOf);
      if (qr && !this.#handlers.mayScan()) return "loggedOut";
      this.#show(qr, asOf);
    } catch (error) {
      // The server may go on behind its proxy: what became of it is in its status.
      this.#handlers.onFailed("start", error);
      if (!(error instanceof WppError) || error.kind !== "gateway_timeout") throw error;
    }
    return undefined;
  }

  #show(qr: WppQr | null, asOf: Date): void {
    if (!qr || this.#signal.aborted) return;
    const text = "image" in qr ? qr.image : qr.text;
    const now = performance.now();
    if (text === this.#shown?.text && now - this.#shown.at < SHOWN_MS) return;
    this.#shown = { text, at: now };
    this.#handlers.onQr(text, asOf);
  }

  #failed(error: unknown): keyof typeof ENDS | undefined {
    const isRefused =
      error instanceof WppError && ["key_invalid", "unauthorised"].includes(error.kind);
    if (isRefused) return "key";
    this.#silences += 1;
    // It may be the way to the server only: its webhooks go another.
    if (this.#isOpen && this.#silences < MOST_SILENCES) return undefined;
    return "away";
  }
}

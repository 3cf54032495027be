/** Joins the pure page state with the server: requests, the stream, timers. Everything outside comes in. */
import { mayPass, type Answer, type Address, type PairingApi, type Problem } from "./api.ts";
import { backoffMs } from "./backoff.ts";
import type { ServerClock } from "./clock.ts";
import type { PageLink } from "./link.ts";
import { reduce, type PageEvent } from "./reduce.ts";
import { screenOf, wantsQr } from "./screen.ts";
import type { LostReason, PageState } from "./state.ts";
import type { StreamHandlers } from "./stream.ts";

export type Surroundings = {
  api: PairingApi;
  clock: ServerClock;
  openStream: (url: string, handlers: StreamHandlers) => () => void;
  isVisible: () => boolean;
  isOnline: () => boolean;
  /** The token was exchanged: its fragment must leave the address. */
  onExchanged: (companyId: string) => void;
};

/** A page nobody sees stops watching after this, so that its QR attempt ends instead of burning on. */
const UNSEEN_MS = 20_000;
const TICK_MS = 1_000;

export class PairingController {
  #state: PageState;
  readonly #around: Surroundings;
  readonly #listeners = new Set<(state: PageState, before: PageState) => void>();
  readonly #link: PageLink;
  #token: string | undefined;
  #address: Address | undefined;
  #closeStream: (() => void) | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  #unseenTimer: ReturnType<typeof setTimeout> | undefined;
  #ticker: ReturnType<typeof setInterval> | undefined;
  #failedTries = 0;
  /** streams in a row that ended before they said anything */
  #endedStreams = 0;
  #isConnecting = false;

  constructor(state: PageState, link: PageLink, around: Surroundings) {
    this.#state = state;
    this.#link = link;
    this.#around = around;
    this.#token = link.token;
    if (link.companyId) this.#address = { companyId: link.companyId, numberId: undefined };
  }

  get state(): PageState {
    return this.#state;
  }

  subscribe(listener: (state: PageState, before: PageState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    this.#ticker = setInterval(() => this.dispatch({ type: "tick" }), TICK_MS);
    void this.#connect();
  }

  stop(): void {
    clearInterval(this.#ticker);
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#unseenTimer);
    this.#closeStream?.();
  }

  /** A fact or a person's wish; requests that follow from it are sent. */
  dispatch(event: PageEvent): void {
    const before = this.#state;
    this.#state = reduce(before, event, this.#around.clock.now());
    for (const listener of this.#listeners) listener(this.#state, before);
    if (before.link === "ok" && this.#state.link !== "ok") this.stop();
    else this.#follow(event);
  }

  /** The next try at once, instead of when its time comes. */
  tryNow(): void {
    clearTimeout(this.#retryTimer);
    void this.#connect();
  }

  visibilityChanged(): void {
    clearTimeout(this.#unseenTimer);
    if (this.#around.isVisible()) {
      if (!this.#closeStream && this.#address && !this.#state.lost) this.tryNow();
      this.dispatch({ type: "tick" });
      return;
    }
    this.#unseenTimer = setTimeout(() => this.#stopWatching(), UNSEEN_MS);
  }

  #follow(event: PageEvent): void {
    const address = this.#address;
    if (!address) return;
    const { api } = this.#around;
    if (event.type === "ask-code") {
      void this.#send("code", api.pairingCode(address, event.phone), (answer) => {
        this.#around.clock.learn(answer.serverTime);
        this.dispatch({ type: "code-answer", answer });
      });
    } else if (event.type === "reconnect") {
      void this.#send("work", api.reconnect(address));
    } else if (event.type === "unlink") {
      void this.#send("work", api.cleanup(address), () => void this.#refresh());
    } else if (event.type !== "qr-requested" && wantsQr(this.#state, this.#around.isVisible())) {
      this.dispatch({ type: "qr-requested" });
      void this.#send("qr", api.reconnect(address));
    }
  }

  async #send<Body>(
    action: "qr" | "code" | "work",
    sending: Promise<Answer<Body>>,
    onSuccess?: (body: Body) => void,
  ): Promise<void> {
    const answer = await sending;
    if (answer.ok) {
      onSuccess?.(answer.body);
      return;
    }
    const { problem } = answer;
    this.dispatch({ type: "refused", action, problem });
    if (problem.code === "ALREADY_CONNECTED" || problem.code === "REQUEST_IN_PROGRESS") {
      await this.#refresh();
    } else if (isForLater(problem)) {
      this.#lose(problem);
    }
  }

  /** Exchanges the token if there is one, asks for the status, opens the stream. */
  async #connect(): Promise<void> {
    if (this.#isConnecting || this.#state.link !== "ok") return;
    this.#isConnecting = true;
    try {
      if (this.#state.lost)
        this.dispatch({ type: "lost", why: this.#state.lost.why, nextTryAt: undefined });
      if (this.#token !== undefined && !(await this.#exchange(this.#token))) return;
      if (!this.#address) {
        this.dispatch({ type: "link", state: "missing" });
        return;
      }
      if ((await this.#refresh()) && !this.#closeStream) this.#listen(this.#address);
    } finally {
      this.#isConnecting = false;
    }
  }

  async #exchange(token: string): Promise<boolean> {
    const answer = await this.#around.api.exchange(token);
    if (!answer.ok) {
      if (isForLater(answer.problem)) this.#lose(answer.problem);
      else this.dispatch({ type: "link", state: "invalid" });
      return false;
    }
    this.#token = undefined;
    const { companyId, numberId } = answer.body;
    this.#address = { companyId, numberId };
    this.#around.onExchanged(companyId);
    return true;
  }

  /** @returns whether there was an answer to go on with */
  async #refresh(): Promise<boolean> {
    if (!this.#address) return false;
    const answer = await this.#around.api.status(this.#address);
    if (answer.ok) {
      this.#around.clock.learn(answer.body.serverTime);
      this.#address = { ...this.#address, numberId: answer.body.number?.id };
      this.dispatch({ type: "snapshot", answer: answer.body });
      // No worker has the number: the events tell nothing until one does.
      const { reason, isPaused } = answer.body;
      if (reason === "no_owner") this.#retry(isPaused ? "paused" : "starting", undefined);
      else this.#failedTries = 0;
      return true;
    }
    if (isForLater(answer.problem)) this.#lose(answer.problem);
    else this.dispatch({ type: "link", state: this.#linkEnd(answer.problem) });
    return false;
  }

  #linkEnd({ status }: Problem): PageState["link"] {
    if (this.#state.facts) return "ended";
    return status === 401 && !this.#link.token ? "missing" : "invalid";
  }

  #listen(address: Address): void {
    const { api, clock } = this.#around;
    this.#closeStream = this.#around.openStream(api.eventsUrl(address), {
      onEvent: (event, serverTime) => {
        this.#endedStreams = 0;
        clock.learn(serverTime);
        this.dispatch(event);
      },
      onEnd: () => {
        this.#closeStream = undefined;
        // A server that restarts is back in a moment: only a failed try is told to the person.
        this.#endedStreams += 1;
        clearTimeout(this.#retryTimer);
        this.#retryTimer = setTimeout(() => void this.#connect(), backoffMs(this.#endedStreams));
      },
    });
  }

  #lose(problem: Problem): void {
    this.#retry(this.#lostReason(problem), problem.retryAfterSeconds);
  }

  #retry(why: LostReason, retryAfterSeconds: number | undefined): void {
    this.#failedTries += 1;
    const waitMs = Math.max(backoffMs(this.#failedTries), (retryAfterSeconds ?? 0) * 1_000);
    const nextTryAt = this.#around.clock.now() + waitMs;
    this.dispatch({ type: "lost", why, nextTryAt });
    clearTimeout(this.#retryTimer);
    this.#retryTimer = setTimeout(() => void this.#connect(), waitMs);
  }

  #lostReason({ code, isPaused }: Problem): LostReason {
    if (!this.#around.isOnline()) return "offline";
    if (code !== "NO_OWNER") return "network";
    return isPaused ? "paused" : "starting";
  }

  /** Nobody looks at a QR: without a watcher its attempt ends, and no code is asked for behind one's back. */
  #stopWatching(): void {
    const screen = screenOf(this.#state);
    if (screen !== "qr" && screen !== "qr-last" && screen !== "qr-preparing") return;
    this.#closeStream?.();
    this.#closeStream = undefined;
  }
}

/** The same request can succeed later, and nothing else is shown meanwhile. */
function isForLater(problem: Problem): boolean {
  const { code } = problem;
  return code !== "RATE_LIMITED" && !OUTCOME_CODES.has(code) && mayPass(problem);
}

/** 5xx that are answers about WhatsApp, each with its own screen. */
const OUTCOME_CODES: ReadonlySet<string> = new Set([
  "WHATSAPP_REFUSED",
  "PAIRING_CODE_FAILED",
  "COMMAND_TIMEOUT",
]);

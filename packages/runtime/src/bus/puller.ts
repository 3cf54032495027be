import { requestMessages } from "./jetstream.ts";
import { toDelivery } from "./stream-message.ts";
import type { Delivery } from "./stream-message.ts";
import type { Wire, WireMessage } from "./wire.ts";

/** How long one request for messages stays open at the server. */
const EXPIRES_MS = 20_000;
/** While it is open and nothing comes, the server says that it lives, this often. */
const HEARTBEAT_MS = 5_000;
/** Nothing at all for this long: the consumer or the server is gone. */
const SILENCE_MS = 2 * HEARTBEAT_MS + 1_000;

export type PullerOptions = {
  readonly wire: Wire;
  readonly stream: string;
  readonly consumer: string;
  /** Bounds what is asked for and not yet given back by `free`. */
  readonly maxInFlight: number;
  readonly onDelivery: (delivery: Delivery) => void;
};

/**
 * Asks for no more messages than there is room for, one request at a time. `ended` resolves with
 * the reason when this consumer gives no more: then it has to be looked up or made again.
 */
export class Puller {
  readonly ended: Promise<string>;
  readonly #options: PullerOptions;
  readonly #end = Promise.withResolvers<string>();
  readonly #inbox: string;
  readonly #unsubscribe: () => void;
  readonly #watch: NodeJS.Timeout;
  #inFlightCount = 0;
  #askedCount = 0;
  #heardAt = performance.now();
  #isEnded = false;

  constructor(options: PullerOptions) {
    this.#options = options;
    this.ended = this.#end.promise;
    this.#inbox = options.wire.newInbox();
    this.#unsubscribe = options.wire.subscribe(this.#inbox, {
      onMessage: (message) => this.#receive(message),
      onError: (error) => this.stop(error.message),
    });
    this.#watch = setInterval(() => this.#checkSilence(), HEARTBEAT_MS);
    this.#ask();
  }

  /** A delivered message is done with: there is room for another. */
  free(): void {
    this.#inFlightCount -= 1;
    this.#ask();
  }

  stop(reason: string): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    clearInterval(this.#watch);
    this.#unsubscribe();
    this.#end.resolve(reason);
  }

  #ask(): void {
    const { wire, stream, consumer, maxInFlight } = this.#options;
    if (this.#isEnded || this.#askedCount > 0) return;
    const room = maxInFlight - this.#inFlightCount;
    // Asking for every single free place would be a request per message.
    if (room < Math.max(1, Math.floor(maxInFlight / 4))) return;
    this.#askedCount = room;
    this.#heardAt = performance.now();
    try {
      requestMessages(wire, {
        stream,
        consumer,
        inbox: this.#inbox,
        batch: room,
        expiresMs: EXPIRES_MS,
        heartbeatMs: HEARTBEAT_MS,
      });
    } catch {
      this.stop("disconnected");
    }
  }

  #receive(wireMessage: WireMessage): void {
    if (this.#isEnded) return;
    this.#heardAt = performance.now();
    const delivery = wireMessage.status === 0 ? toDelivery(wireMessage) : undefined;
    if (delivery !== undefined) {
      this.#askedCount = Math.max(0, this.#askedCount - 1);
      this.#inFlightCount += 1;
      this.#options.onDelivery(delivery);
      this.#ask();
      return;
    }
    switch (wireMessage.status) {
      case 100: // a sign of life
        return;
      case 404: // nothing there
      case 408: // the request has run out
        this.#askedCount = 0;
        this.#ask();
        return;
      default:
        // 409 and 503: consumer deleted, leader changed, server stopping. The caller looks it up again.
        this.stop(`${wireMessage.status} ${wireMessage.description}`);
    }
  }

  #checkSilence(): void {
    if (this.#askedCount > 0 && performance.now() - this.#heardAt > SILENCE_MS) {
      this.stop("no sign of life from the consumer");
    }
  }
}

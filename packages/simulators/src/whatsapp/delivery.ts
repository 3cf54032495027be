import type { Device } from "./device.ts";
import { el, SERVER_JID } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

/**
 * Gets a device's stanzas onto its connection: first what waited while it was away, in the batches the
 * client asks for, each marked `offline`; then live.
 */
export class Delivery {
  readonly #device: Device;
  readonly #send: (stanza: Stanza) => void;
  readonly #onLive: () => void;
  #state: "closed" | "draining" | "live" = "closed";
  #backlog: Stanza[] = [];
  #late: Stanza[] = [];
  #drained = 0;

  constructor(device: Device, send: (stanza: Stanza) => void, onLive: () => void) {
    this.#device = device;
    this.#send = send;
    this.#onLive = onLive;
  }

  /** The client said `active`: announce the backlog, or go live when there is none. */
  activate(): void {
    if (this.#state !== "closed") return;
    this.#state = "draining";
    this.#backlog = [...this.#device.pending.values()];
    if (this.#backlog.length === 0) this.#goLive();
    else this.#announce();
  }

  /** The client asked for the next `count` stanzas of the backlog. */
  batch(count: number): void {
    if (this.#state !== "draining") return;
    for (const stanza of this.#backlog.splice(0, count)) {
      const attrs = { ...stanza.attrs, offline: String(this.#drained++ % 4) };
      this.#send({ ...stanza, attrs });
    }
    if (this.#backlog.length === 0) {
      if (!this.#device.account.options.holdOfflineEnd) this.#goLive();
    } else this.#announce(); // clients ask once per announcement
  }

  deliver(stanza: Stanza): void {
    if (this.#state === "live") this.#send(stanza);
    else if (this.#state === "draining") this.#late.push(stanza);
  }

  #announce(): void {
    const count = (tag?: string) =>
      String(this.#backlog.filter((stanza) => !tag || stanza.tag === tag).length);
    const attrs = {
      count: count(),
      message: count("message"),
      receipt: count("receipt"),
      notification: count("notification"),
      appdata: "0",
    };
    this.#send(el("ib", { from: SERVER_JID }, [el("offline_preview", attrs)]));
  }

  #goLive(): void {
    this.#state = "live";
    this.#send(el("ib", { from: SERVER_JID }, [el("offline", { count: String(this.#drained) })]));
    for (const stanza of this.#late.splice(0)) this.#send(stanza);
    this.#onLive();
  }
}

import type { Connection } from "./connection.ts";
import { stanzaId } from "./crypto.ts";
import type { PhoneOptions } from "./options.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";
import type { Stanza } from "./stanza.ts";

const TYPE = "companion_reg_refresh";
const KNOWN_CHILDREN = new Set([TYPE, "pair-device-rotate-qr"]);

/**
 * The server's order to replace the secret that the shown QR carries, and what came of it. The server never
 * sees the secret itself, so it remembers the ones that phones scanned before the order.
 */
export class CompanionRefresh {
  readonly #connection: Connection;
  readonly #retired = new Set<string>();
  /** acknowledgements per notification id; anything but 1 is the client's mistake */
  readonly acks = new Map<string, number>();
  sent = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** every order was acknowledged with the right class, type, id and address */
  get isAcknowledged(): boolean {
    return [...this.acks.values()].every((count) => count > 0);
  }

  isRetired(secret: string): boolean {
    return this.#retired.has(secret);
  }

  /**
   * Sends the notification. With a child that no client knows it changes nothing on either side.
   * @param secret the one a phone has just scanned
   * @returns whether the client has to rotate
   */
  send(options: Pick<PhoneOptions, "refreshChild">, secret?: string): boolean {
    const id = stanzaId();
    const isKnown = KNOWN_CHILDREN.has(options.refreshChild);
    this.sent++;
    if (isKnown) {
      this.acks.set(id, 0);
      if (secret !== undefined) this.#retired.add(secret);
    }
    const attrs = { from: SERVER_JID, type: TYPE, id, t: String(unixNow()) };
    this.#connection.send(el("notification", attrs, [el(options.refreshChild)]));
    return isKnown;
  }

  onAck(ack: Stanza): void {
    const { id = "", to, type } = ack.attrs;
    const count = this.acks.get(id);
    if (
      count !== undefined &&
      ack.attrs["class"] === "notification" &&
      type === TYPE &&
      to === SERVER_JID
    ) {
      this.acks.set(id, count + 1);
    }
  }
}

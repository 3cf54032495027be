/** Closed for the whole process once WhatsApp refuses our client version: reconnecting would only annoy it. */
export class FleetGate {
  #isOutdated = false;

  get isOutdated(): boolean {
    return this.#isOutdated;
  }

  close(): void {
    this.#isOutdated = true;
  }
}

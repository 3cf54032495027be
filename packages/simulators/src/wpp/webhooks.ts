/** Sends webhooks as WPP servers do: without a signature, one after the other, and never again. */
const TIMEOUT_MS = 10_000;

export type WebhookNote = { url: string; body: object; status: number };

export class WppWebhooks {
  /** What was sent; `status` 0: there was no answer. */
  readonly sent: WebhookNote[] = [];
  readonly #signal: () => AbortSignal;
  readonly #lines = new Map<string, Promise<void>>();

  constructor(signal: () => AbortSignal) {
    this.#signal = signal;
  }

  /** Returns at once; webhooks of one address keep their order. */
  send(url: string, body: object): void {
    const before = this.#lines.get(url) ?? Promise.resolve();
    this.#lines.set(
      url,
      before.then(() => this.#post(url, body)),
    );
  }

  /** Resolves when all that was to be sent is sent. */
  async settled(): Promise<void> {
    await Promise.all(this.#lines.values());
  }

  async #post(url: string, body: object): Promise<void> {
    if (this.#signal().aborted) return;
    let status = 0;
    try {
      const answer = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json", accept: "application/json" },
        body: JSON.stringify(body),
        signal: AbortSignal.any([this.#signal(), AbortSignal.timeout(TIMEOUT_MS)]),
      });
      await answer.arrayBuffer();
      ({ status } = answer);
    } catch {
      // Nobody there: the webhook is lost, as it is in life.
    }
    this.sent.push({ url, body, status });
  }
}

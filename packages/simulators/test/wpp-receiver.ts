/** Takes webhooks, for tests of the WPP servers. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export type GotWebhook = Record<string, unknown>;

export class Receiver implements AsyncDisposable {
  readonly got: GotWebhook[] = [];
  /** What is answered. */
  status = 200;
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        if (this.status === 200) {
          this.got.push(JSON.parse(Buffer.concat(chunks).toString()) as GotWebhook);
        }
        response.writeHead(this.status).end("{}");
      });
    });
  }

  static async start(): Promise<Receiver> {
    const receiver = new Receiver();
    await new Promise<void>((resolve) => {
      receiver.#server.listen(0, "127.0.0.1", resolve);
    });
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hook`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

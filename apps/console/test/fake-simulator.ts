/** The WhatsApp simulator's control API at the wire, without WhatsApp: what the phone page needs of it. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { LinkedDevice, Phone } from "../src/phone/api.ts";
import type { Build } from "./static-files.ts";

export const CODE = "K7WM3XQP";

export class FakeSimulator {
  readonly phones = new Map<string, Phone>();
  /** the QR that links */
  qr = "2@live";
  /** what a scan or code ends with instead of a link */
  refusal: { code: string; message: string } | undefined;
  readonly faults: unknown[] = [];
  readonly #build: Build;
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server;

  private constructor(built: Build) {
    this.#build = built;
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(built: Build): Promise<FakeSimulator> {
    const simulator = new FakeSimulator(built);
    await new Promise<void>((resolve) => simulator.#server.listen(0, "127.0.0.1", resolve));
    return simulator;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Makes the phone if it is new. */
  phone(msisdn: string): Phone {
    const phone = this.phones.get(msisdn) ?? {
      msisdn,
      name: "",
      exists: true,
      online: true,
      devices: [],
      pendingCode: false,
      options: { maxDevices: 4, passkey: "off" },
    };
    this.phones.set(msisdn, phone);
    return phone;
  }

  change(msisdn: string, change: Partial<Phone>): void {
    const phone = Object.assign(this.phone(msisdn), change);
    this.emit("phone-changed", phone);
  }

  emit(name: string, data: unknown): void {
    for (const stream of this.#streams) {
      stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const method = request.method ?? "GET";
    if (await this.#build.serve(pathname === "/" ? "/phone.html" : pathname, response)) return;
    if (pathname === "/events") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(": connected\n\n");
      this.#streams.add(response);
      response.on("close", () => this.#streams.delete(response));
      return;
    }
    const body = await readBody(request);
    const [status, answer] = this.#answer(method, pathname, body);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  }

  #answer(method: string, path: string, body: Record<string, unknown>): [number, unknown] {
    if (path === "/phones") return [200, { phones: [...this.phones.values()] }];
    if (path === "/faults") {
      this.faults.push(method === "POST" ? body : method);
      return [200, { affected: 1 }];
    }
    const [, , msisdn = "", action] = path.split("/");
    const phone = this.phone(msisdn);
    if (method === "GET") return [200, phone];
    if (method === "PUT") {
      this.change(msisdn, body);
      return [200, phone];
    }
    if (action === "unlink") {
      const devices = phone.devices.filter(({ id }) => id !== body["deviceId"]);
      const unlinked = phone.devices.length - devices.length;
      this.change(msisdn, { devices });
      return [200, { unlinked }];
    }
    return this.#link(phone, action === "scan" ? body["qr"] === this.qr : body["code"] === CODE);
  }

  #link(phone: Phone, isRight: boolean): [number, unknown] {
    const wrong = {
      code: "wrong_code",
      message: "Couldn't link device. Check the code and try again.",
    };
    const error = this.refusal ?? (isRight ? undefined : wrong);
    if (error) return [409, { error }];
    const device = linkedDevice(phone.devices.length + 1);
    this.change(phone.msisdn, { devices: [...phone.devices, device] });
    this.emit("linked", { msisdn: phone.msisdn, device });
    return [200, { result: "linked", deviceId: device.id }];
  }
}

export function linkedDevice(id: number): LinkedDevice {
  return {
    id,
    name: "Chrome (Mac OS)",
    platform: "CHROME",
    linkedAt: new Date().toISOString(),
    connected: true,
  };
}

async function readBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  for await (const part of request) text += String(part);
  return text ? (JSON.parse(text) as Record<string, unknown>) : {};
}

/** An SMTP server that takes every mail and delivers none (RFC 5321, AUTH PLAIN and LOGIN, RFC 3207 STARTTLS). */
import { createServer, type Server, type Socket } from "node:net";
import { createSecureContext, createServer as createTlsServer, TLSSocket } from "node:tls";
import type { SinkFaults } from "./faults.ts";
import { type Mail, readMail } from "./mime.ts";

export type ReceivedMail = Mail & {
  id: number;
  at: Date;
  from: string;
  to: string[];
  raw: Buffer;
  /** It came over TLS. */
  isSecure: boolean;
};

export type SmtpOptions = {
  faults: SinkFaults;
  take: (mail: Omit<ReceivedMail, "id" | "at">) => void;
  /** Undefined: nobody needs to log in. */
  login?: { user: string; password: string } | undefined;
  tls?: SmtpTls | undefined;
};

/** PEM. `isImplicit`: TLS from the first byte, else from STARTTLS on, before which nobody logs in or sends. */
export type SmtpTls = { key: string; cert: string; isImplicit?: boolean };

const MAIL_BYTES = 10 * 1024 * 1024;
const LINE_BYTES = 64 * 1024;

export class SmtpSink {
  readonly #options: SmtpOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(options: SmtpOptions) {
    this.#options = options;
    const { tls } = options;
    const meet = (socket: Socket): void => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => undefined);
      const isSecure = tls === undefined || tls.isImplicit === true;
      new Conversation(socket, this.#options, isSecure).begin();
    };
    this.#server = tls?.isImplicit ? createTlsServer(tls, meet) : createServer(meet);
  }

  /** The port taken. */
  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}

class Conversation {
  readonly #socket: Socket;
  readonly #options: SmtpOptions;
  #waiting = "";
  #from: string | undefined;
  #to: string[] = [];
  /** The lines of a mail while one is sent. */
  #data: string[] | undefined;
  #bytes = 0;
  #isKnown: boolean;
  /** Whether it may go on: by TLS, or there is none. */
  readonly #isSecure: boolean;
  /** What the next line answers, in AUTH. */
  #expected: ((line: string) => void) | undefined;

  constructor(socket: Socket, options: SmtpOptions, isSecure: boolean) {
    this.#socket = socket;
    this.#isSecure = isSecure;
    this.#options = options;
    this.#isKnown = options.login === undefined;
  }

  begin(): void {
    this.#say("220 sink ESMTP");
    this.#listen();
  }

  #listen(): void {
    this.#socket.on("data", (chunk) => {
      this.#waiting += chunk.toString("latin1");
      for (let end = this.#waiting.indexOf("\r\n"); end >= 0;) {
        const line = this.#waiting.slice(0, end);
        this.#waiting = this.#waiting.slice(end + 2);
        if (this.#data) this.#dataLine(line);
        else if (this.#expected) this.#expected(line);
        else this.#command(line);
        end = this.#waiting.indexOf("\r\n");
      }
      if (this.#waiting.length > LINE_BYTES) this.#socket.destroy();
    });
  }

  #say(line: string): void {
    if (this.#socket.writable) this.#socket.write(`${line}\r\n`);
  }

  #command(line: string): void {
    const [verb = "", ...words] = line.split(" ");
    const rest = words.join(" ");
    switch (verb.toUpperCase()) {
      case "EHLO":
        this.#say("250-sink");
        this.#say("250-8BITMIME");
        this.#say("250-SMTPUTF8");
        if (!this.#isSecure) this.#say("250-STARTTLS");
        else if (this.#options.login) this.#say("250-AUTH PLAIN LOGIN");
        this.#say(`250 SIZE ${MAIL_BYTES}`);
        break;
      case "HELO":
      case "NOOP":
        this.#say("250 sink");
        break;
      case "STARTTLS":
        this.#startTls();
        break;
      case "AUTH":
        if (!this.#isSecure) return this.#say("530 5.7.0 STARTTLS first");
        this.#login(rest);
        break;
      case "MAIL":
        if (!this.#isSecure) return this.#say("530 5.7.0 STARTTLS first");
        if (!this.#isKnown) return this.#say("530 5.7.0 Authentication required");
        this.#from = addressIn(rest);
        this.#to = [];
        this.#say("250 2.1.0 OK");
        break;
      case "RCPT": {
        const address = addressIn(rest);
        if (this.#from === undefined) return this.#say("503 5.5.1 MAIL first");
        if (address.startsWith("nobody@")) return this.#say("550 5.1.1 No such user");
        this.#to.push(address);
        this.#say("250 2.1.5 OK");
        break;
      }
      case "DATA":
        if (this.#to.length === 0) return this.#say("503 5.5.1 RCPT first");
        this.#data = [];
        this.#bytes = 0;
        this.#say("354 End with a line that is a dot");
        break;
      case "RSET":
        this.#forget();
        this.#say("250 2.0.0 OK");
        break;
      case "QUIT":
        this.#say("221 2.0.0 Bye");
        this.#socket.end();
        break;
      default:
        this.#say("500 5.5.2 Not understood");
    }
    return undefined;
  }

  #startTls(): void {
    const { tls } = this.#options;
    if (!tls || this.#isSecure) return this.#say("502 5.5.1 Not here");
    this.#say("220 2.0.0 Go ahead");
    this.#socket.removeAllListeners("data");
    const secureContext = createSecureContext(tls);
    const secured = new TLSSocket(this.#socket, { isServer: true, secureContext });
    secured.on("error", () => this.#socket.destroy());
    return new Conversation(secured, this.#options, true).#listen();
  }

  #login(rest: string): void {
    const { login } = this.#options;
    const [kind = "", initial] = rest.split(" ");
    const judge = (user: string | undefined, password: string | undefined): void => {
      this.#expected = undefined;
      this.#isKnown = login === undefined || (user === login.user && password === login.password);
      this.#say(this.#isKnown ? "235 2.7.0 OK" : "535 5.7.8 Wrong user or password");
    };
    const plain = (line: string): void => {
      const [, user, password] = decode(line).split("\0");
      judge(user, password);
    };
    if (kind.toUpperCase() === "PLAIN") {
      if (initial !== undefined) return plain(initial);
      this.#expected = plain;
      return this.#say("334 ");
    }
    if (kind.toUpperCase() !== "LOGIN") return this.#say("504 5.5.4 Unknown kind");
    this.#expected = (user) => {
      this.#expected = (password) => judge(decode(user), decode(password));
      this.#say("334 UGFzc3dvcmQ6");
    };
    return this.#say("334 VXNlcm5hbWU6");
  }

  #dataLine(line: string): void {
    if (line !== ".") {
      this.#bytes += line.length + 2;
      if (this.#bytes <= MAIL_BYTES) this.#data?.push(line.startsWith(".") ? line.slice(1) : line);
      return;
    }
    const lines = this.#data ?? [];
    this.#data = undefined;
    if (this.#bytes > MAIL_BYTES) return this.#say("552 5.3.4 Too large");
    const raw = Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
    const { faults, take } = this.#options;
    const isSecure = this.#socket instanceof TLSSocket;
    const mail = { from: this.#from ?? "", to: this.#to, raw, isSecure, ...readMail(raw) };
    this.#forget();
    const fault = faults.take("smtp");
    const accept = (): void => {
      take(mail);
      this.#say("250 2.0.0 Taken");
    };
    switch (fault?.effect) {
      case undefined:
        accept();
        break;
      case "refuse":
        this.#say(`${fault.status ?? 451} 4.3.0 Not now`);
        break;
      case "drop":
        this.#socket.destroy();
        break;
      case "hang":
        break;
      case "late":
        setTimeout(accept, fault.delayMs ?? 1_000).unref();
        break;
      case "take_and_drop":
        take(mail);
        this.#socket.destroy();
        break;
      case "take_and_hang":
        take(mail);
        break;
    }
  }

  #forget(): void {
    this.#from = undefined;
    this.#to = [];
  }
}

function addressIn(text: string): string {
  return Buffer.from(/<([^>]*)>/.exec(text)?.[1] ?? "", "latin1").toString();
}

function decode(text: string): string {
  return Buffer.from(text, "base64").toString();
}

/** What the simulated WPPConnect Server knows: sessions with their configuration, people, messages. */
import { randomBytes } from "node:crypto";

export type ConnectStatus = null | "CLOSED" | "INITIALIZING" | "QRCODE" | "PHONECODE" | "CONNECTED";

export type ConnectSession = {
  name: string;
  status: ConnectStatus;
  /** The body of the last start: it replaces what was there, and what it lacks is gone. */
  config: Record<string, unknown>;
  urlcode: string | null;
  phoneCode: string | null;
  /** Of who linked it; kept when the session is closed, gone when it is logged out. */
  phone: string | null;
  qrCount: number;
};

export type ConnectMessage = Record<string, unknown> & { id: string; fromMe: boolean };

export class ConnectWorld {
  readonly sessions = new Map<string, ConnectSession>();
  /** Phones that have WhatsApp; empty: all have. */
  readonly people = new Set<string>();
  /** LIDs by phone. */
  readonly lids = new Map<string, string>();
  /** By session. */
  readonly messages = new Map<string, ConnectMessage[]>();
  readonly unread = new Map<string, ConnectMessage[]>();

  /** What outlives its process. */
  state(): ConnectSession[] {
    return [...this.sessions.values()];
  }

  /** As after a start: nobody is connected, and whoever was linked is so still. */
  restore(sessions: readonly ConnectSession[]): void {
    for (const session of sessions) {
      const cold = { status: null, urlcode: null, phoneCode: null };
      this.sessions.set(session.name, { ...session, ...cold });
    }
  }

  session(name: string): ConnectSession {
    const known = this.sessions.get(name);
    if (known) return known;
    const made: ConnectSession = {
      name,
      status: null,
      config: {},
      urlcode: null,
      phoneCode: null,
      phone: null,
      qrCount: 0,
    };
    this.sessions.set(name, made);
    return made;
  }

  isKnown(phone: string): boolean {
    return this.people.size === 0 || this.people.has(phone);
  }

  keep(session: string, message: ConnectMessage): void {
    const list = this.messages.get(session) ?? [];
    this.messages.set(session, [...list, message]);
  }

  find(session: string, id: string): ConnectMessage | undefined {
    return this.messages.get(session)?.find((message) => message.id === id);
  }
}

export function newHex(start: "3AB0" | "3EB0"): string {
  return `${start}${randomBytes(8).toString("hex").toUpperCase()}`;
}

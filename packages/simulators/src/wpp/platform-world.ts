/** What the simulated platform knows: clients, their sessions, and the messages they sent. */
import { randomBytes } from "node:crypto";

export type SessionState = "offline" | "starting" | "qr" | "connected";

/** One client per organisation, for ever: its key and its session never change. */
export type WppClient = {
  organizationId: string;
  apiKey: string;
  /** Looks like a number and is none: zero-padded, 13 digits. */
  session: string;
  /** Its key is not taken before. */
  activeAt: number;
  /** It was created again while it ran: who does that means another number. */
  isReissued: boolean;
  state: SessionState;
  qr: string | null;
  qrCount: number;
  webhook: string | null;
  /** Of who scanned; null: nobody. */
  phone: string | null;
};

export type WppTask = {
  taskId: string;
  session: string;
  to: string;
  body: Record<string, unknown>;
  waMessageId: string;
  isDeleted: boolean;
};

export type WppReaction = { session: string; to: string; waMessageId: string; emoji: string };
export type StoredFile = { bytes: Buffer; mimeType: string; fileName: string };

export type PlatformState = { clients: WppClient[]; tasks: number };

export class PlatformWorld {
  readonly clients = new Map<string, WppClient>();
  readonly tasks = new Map<string, WppTask>();
  readonly reactions: WppReaction[] = [];
  /** By the id of the message that brought it. */
  readonly files = new Map<string, StoredFile>();
  #sessions = 0;
  #tasks = 0;

  /** What outlives its process. */
  state(): PlatformState {
    return { clients: [...this.clients.values()], tasks: this.#tasks };
  }

  /** As after a start: nobody is connected, and whoever was linked is so still. */
  restore({ clients, tasks }: PlatformState): void {
    for (const client of clients) {
      this.clients.set(client.organizationId, { ...client, state: "offline", qr: null });
    }
    this.#sessions = clients.length;
    this.#tasks = tasks;
  }

  /** The client of the organisation; made when there is none. */
  create(organizationId: string, activeAt: number): { client: WppClient; isNew: boolean } {
    const known = this.clients.get(organizationId);
    if (known) return { client: known, isNew: false };
    this.#sessions += 1;
    const client: WppClient = {
      organizationId,
      apiKey: `k_${randomBytes(18).toString("hex")}`,
      session: String(this.#sessions).padStart(13, "0"),
      activeAt,
      isReissued: false,
      state: "offline",
      qr: null,
      qrCount: 0,
      webhook: null,
      phone: null,
    };
    this.clients.set(organizationId, client);
    return { client, isNew: true };
  }

  byKey(apiKey: string): WppClient | undefined {
    return [...this.clients.values()].find((client) => client.apiKey === apiKey);
  }

  bySession(session: string): WppClient {
    const found = [...this.clients.values()].find((client) => client.session === session);
    if (!found) throw new RangeError(`there is no session ${session}`);
    return found;
  }

  addTask(session: string, to: string, body: Record<string, unknown>): WppTask {
    this.#tasks += 1;
    const number = String(this.#tasks).padStart(12, "0");
    const waMessageId = `true_${to}@c.us_3EB0${number.padStart(16, "0")}`;
    const task = { taskId: `task_${number}`, session, to, body, waMessageId, isDeleted: false };
    this.tasks.set(task.taskId, task);
    return task;
  }
}

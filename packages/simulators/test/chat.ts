import { proto } from "@whiskeysockets/baileys";
import type { WAMessage, WAMessageUpdate } from "@whiskeysockets/baileys";
import type { Client } from "./client.ts";

type Upsert = { type: string; message: WAMessage };

/** What one client's application hears of messages. */
export class Chat {
  readonly client: Client;
  readonly upserts: Upsert[] = [];
  readonly updates: WAMessageUpdate[] = [];
  readonly acks: Record<string, string>[] = [];

  constructor(client: Client) {
    this.client = client;
    const { ev, ws } = client.sock;
    ev.on("messages.upsert", ({ messages, type }) => {
      this.upserts.push(...messages.map((message) => ({ type, message })));
    });
    ev.on("messages.update", (updates) => this.updates.push(...updates));
    ws.on("CB:ack,class:message", (node: { attrs: Record<string, string> }) => {
      this.acks.push(node.attrs);
    });
  }

  /** texts that others wrote, in order of arrival */
  get heard(): string[] {
    return this.upserts
      .filter(({ message }) => message.key.fromMe !== true && textOf(message) !== undefined)
      .map(({ message }) => textOf(message) ?? "");
  }

  hears(text: string): Promise<Upsert> {
    return this.client.until(text, () =>
      this.upserts.find(({ message }) => textOf(message) === text),
    );
  }

  /** the highest status of an own message, wherever it was announced */
  statusOf(id: string): number {
    const own = this.upserts.filter(({ message }) => message.key.id === id);
    const all = [
      ...own.map(({ message }) => message.status),
      ...this.updates.filter((each) => each.key.id === id).map((each) => each.update.status),
    ];
    return Math.max(...all.map(Number).filter((status) => !Number.isNaN(status)), 0);
  }

  async reaches(id: string, status: keyof typeof proto.WebMessageInfo.Status): Promise<void> {
    const wanted = proto.WebMessageInfo.Status[status] as unknown as number;
    await this.client.until(`status ${status}`, () => this.statusOf(id) >= wanted);
  }
}

export function textOf({ message }: WAMessage): string | undefined {
  return message?.conversation ?? message?.extendedTextMessage?.text ?? undefined;
}

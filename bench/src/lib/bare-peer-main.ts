/**
 * Bare Baileys sockets that stay: a process that opens devices, sends with them, hears what comes, and tells the
 * bench when. Spoken to over Node's channel between processes, one question at a time.
 */
import type { WASocket } from "@whiskeysockets/baileys";
import { memoryNow, type Memory } from "./memory.ts";
import { openBare, prepareBare, type BareTask } from "./bare-sockets.ts";

/** One message: from the device of this place, to this phone. */
export type BareSend = { place: number; to: string; text: string };
/** When it was asked for, and when the library was done with it; milliseconds of the machine's clock. */
export type BareSent = { text: string; askedAt: number; doneAt: number };
/** When `messages.upsert` named it. */
export type BareReceived = { id: string; at: number };

export type BareAsk =
  | { ask: "open"; task: BareTask }
  /** Each device its own messages one after another, devices side by side. */
  | { ask: "send"; sends: BareSend[] }
  /** What has come since the last time. */
  | { ask: "received" }
  /** Frees what is free and tells what is left, in bytes. */
  | { ask: "memory" };
export type BareAnswer = {
  open: true;
  send: BareSent[];
  received: BareReceived[];
  memory: Memory;
};

/** The machine's clock, finer than milliseconds. */
const now = (): number => performance.timeOrigin + performance.now();

let sockets: WASocket[] = [];
let received: BareReceived[] = [];

const answers: { [Name in keyof BareAnswer]: (given: AskOf<Name>) => Promise<BareAnswer[Name]> } = {
  open: async ({ task }) => {
    prepareBare(task);
    sockets = await openBare(task);
    for (const sock of sockets) {
      sock.ev.on("messages.upsert", ({ messages }) => {
        const at = now();
        for (const { key } of messages) {
          if (key.fromMe !== true) received.push({ id: key.id ?? "", at });
        }
      });
    }
    return true;
  },
  send: async ({ sends }) => {
    const lanes = Map.groupBy(sends, ({ place }) => place);
    const sent = await Promise.all([...lanes].map(([place, lane]) => sendAll(place, lane)));
    return sent.flat();
  },
  received: async () => {
    const all = received;
    received = [];
    return all;
  },
  memory: memoryNow,
};
type AskOf<Name> = Extract<BareAsk, { ask: Name }>;

process.on("message", (given: BareAsk) => {
  const answer = answers[given.ask] as (given: BareAsk) => Promise<unknown>;
  answer(given).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
// The bench is gone, or done.
process.on("disconnect", () => process.exit());

async function sendAll(place: number, lane: BareSend[]): Promise<BareSent[]> {
  const sent: BareSent[] = [];
  for (const { to, text } of lane) {
    const askedAt = now();
    await sockets[place]?.sendMessage(`${to}@s.whatsapp.net`, { text });
    sent.push({ text, askedAt, doneAt: now() });
  }
  return sent;
}

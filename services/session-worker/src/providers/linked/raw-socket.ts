import type { WASocket } from "@whiskeysockets/baileys";

/** The `ws` socket below Baileys' client. */
export type RawSocket = {
  send: (data: Uint8Array | string, callback?: (error?: Error) => void) => void;
  emit: (event: string | symbol, ...args: unknown[]) => boolean;
  /** Takes nothing more from the network until `resume`. */
  pause: () => void;
  resume: () => void;
  terminate: () => void;
};

export function rawSocket(sock: WASocket): RawSocket | undefined {
  const client: unknown = sock.ws;
  if (typeof client !== "object" || client === null || !("socket" in client)) return undefined;
  const { socket } = client;
  return isRawSocket(socket) ? socket : undefined;
}

function isRawSocket(value: unknown): value is RawSocket {
  if (typeof value !== "object" || value === null) return false;
  return ["send", "emit", "pause", "resume", "terminate"].every((name) => name in value);
}

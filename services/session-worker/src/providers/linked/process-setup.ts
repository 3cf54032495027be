/** What must be set once per process before the first connection of a linked number. */
import { WA_CERT_DETAILS } from "@whiskeysockets/baileys";
import { repairSignatureCheck } from "./xeddsa.ts";

/** Where WhatsApp is. Both or none: a foreign server is only trusted with its own root key. */
export type WhatsAppServer = { url: string; rootKey: Buffer };

/** Deep enough for our own stacks, which are flat. */
const STACK_FRAMES = 4;

/**
 * Repairs the signature check, silences libsignal and, for a simulator, trusts its root key. The key is
 * process-wide in Baileys: one process cannot talk to the real WhatsApp and to a simulator.
 */
export function prepareProcess(server: WhatsAppServer | undefined): void {
  repairSignatureCheck();
  muteConsole();
  // Baileys makes an Error for every query and every frame, in case it is needed; its stack costs 1.5 ms per login.
  Error.stackTraceLimit = STACK_FRAMES;
  if (server) WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(server.rootKey);
}

/**
 * libsignal prints whole sessions, private keys included, through the console in normal operation
 * ("Closing session:", …). A service logs through its logger only, so nothing of worth goes through the
 * console: all of it is dropped.
 */
export function muteConsole(): void {
  for (const level of ["log", "info", "warn", "error", "debug", "trace"] as const) {
    console[level] = () => undefined;
  }
}

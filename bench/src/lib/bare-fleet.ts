/**
 * Bare Baileys sockets in a process of their own: opens every device it is given, 25 at a time, and tells what
 * that took. Reads a `BareTask` as JSON from its input, prints a `BareResult`. Credentials and keys are kept in
 * memory as JSON text, parsed at each read and written at each save, as any store would; there is no disk.
 */
import { setTimeout as delay } from "node:timers/promises";
import { text } from "node:stream/consumers";
import { openBare, prepareBare, type BareTask } from "./bare-sockets.ts";

export type BareResult = { wallMs: number; cpuMs: number; rssBytes: number };

/** What an opening leaves to do counts as well. */
export const SETTLE_MS = 1_000;

if (import.meta.main) {
  const task = JSON.parse(await text(process.stdin)) as BareTask;
  const result = await openAll(task);
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}

async function openAll(task: BareTask): Promise<BareResult> {
  prepareBare(task);
  const startedAt = performance.now();
  const before = process.cpuUsage();
  await openBare(task);
  const wallMs = performance.now() - startedAt;
  await delay(SETTLE_MS);
  const { user, system } = process.cpuUsage(before);
  return { wallMs, cpuMs: (user + system) / 1_000, rssBytes: process.memoryUsage.rss() };
}

/** What the WPP provider is made of, and the line of a number to its server. */
import type { WppPlatform as WppServer } from "@manyline/contracts";
import type { Send, WppNumber } from "@manyline/db";
import type { Logger } from "@manyline/runtime";
import type { FileSource, NumberRef } from "../provider.ts";
import type { WppConnect } from "./connect.ts";
import { connectLine } from "./connect-line.ts";
import { WppError } from "./errors.ts";
import type { WppLine } from "./line.ts";
import type { WppClientKey, WppPlatform } from "./platform.ts";
import { platformLine } from "./platform-line.ts";
import type { WppStore } from "./store.ts";

export type WppParts = {
  /** Undefined: this installation has no platform. */
  platform: WppPlatform | undefined;
  /** The application's own, with which clients are made at the platform. */
  secret: string | undefined;
  /** Undefined: this installation has no WPPConnect Server. */
  connect: WppConnect | undefined;
  /** Where webhooks come in, without the number's key; undefined: none are asked for. */
  webhookUrl: string | undefined;
  /** Of servers that may name files at their own address, wherever it leads. */
  origins: readonly string[];
  store: WppStore;
  files: FileSource;
  /** Where a server fetches the file of a message; undefined: it can reach none of ours. */
  linkOf: ((number: NumberRef, send: Send) => Promise<string>) | undefined;
  logger: Logger;
};

export function isConfigured(server: WppServer, { platform, secret, connect }: WppParts): boolean {
  return server === "wppconnect"
    ? connect !== undefined
    : platform !== undefined && secret !== undefined;
}

/** The server must be configured. */
export function lineOf(
  { server, client }: Pick<WppNumber, "server"> & { client: WppClientKey },
  { fence }: NumberRef,
  { platform, connect, store }: WppParts,
): WppLine {
  if (server === "wppconnect" && connect) {
    return connectLine(connect.session(client.session, client.apiKey));
  }
  if (server === "wpp_platform" && platform) {
    return platformLine(platform.account(client), {
      taskOf: (send) => store.taskOf(fence, send),
      replaced: (send, taskId) => store.replaceTask(fence, send, taskId),
    });
  }
  throw new Error(`there is no ${server}`);
}

export function webhookUrlOf(webhookKey: string, { webhookUrl }: WppParts): string | undefined {
  return webhookUrl === undefined ? undefined : `${webhookUrl}/webhooks/wpp/${webhookKey}`;
}

/** A line in the log that names the number and no secret. */
export function note(
  { companyId, numberId }: NumberRef,
  logger: Logger,
  event: string,
  error?: unknown,
): void {
  const kind = error instanceof WppError ? { kind: error.kind } : {};
  const fields = { event, company_id: companyId, number_id: numberId, ...kind };
  logger.warn(error === undefined ? fields : { ...fields, err: error }, event);
}

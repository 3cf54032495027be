/** What there is at both WPP servers, as people see it. */
import type { WppConnectSimulator } from "./connect.ts";
import { textIn } from "./http.ts";
import type { WppPlatformSimulator } from "./platform.ts";

export type WppServers = { platform: WppPlatformSimulator; connect: WppConnectSimulator };

/** A session as people see it. It has no key and no address of a webhook. */
export type SessionFacts = {
  server: "wpp_platform" | "wppconnect";
  session: string;
  /** Which organisation it was made for; WPPConnect knows none. */
  organizationId: string | null;
  state: string;
  phone: string | null;
};
export type SentFacts = { session: string; to: string; text: string; isDeleted: boolean };

const MOST = 50;

export function sessionsOf({ platform, connect }: WppServers): SessionFacts[] {
  return [
    ...[...platform.world.clients.values()].map(({ session, organizationId, state, phone }) => ({
      server: "wpp_platform" as const,
      session,
      organizationId,
      state,
      phone,
    })),
    ...connect.world.state().map(({ name, status, phone }) => ({
      server: "wppconnect" as const,
      session: name,
      organizationId: null,
      state: { QRCODE: "qr", PHONECODE: "code" }[String(status)] ?? String(status).toLowerCase(),
      phone,
    })),
  ];
}

/** What was sent to people: the latest last, of each server. */
export function sentOf({ platform, connect }: WppServers): SentFacts[] {
  const tasks = [...platform.world.tasks.values()].map(({ session, to, body, isDeleted }) => ({
    session,
    to,
    text: wordsOf(body, "text", "caption", "filename", "name"),
    isDeleted,
  }));
  const messages = [...connect.world.messages].flatMap(([session, list]) =>
    list
      .filter(({ fromMe }) => fromMe)
      .map((one) => ({
        session,
        to: textIn(one["to"]).split("@")[0] ?? "",
        text: wordsOf(one, "caption", "content", "body"),
        isDeleted: false,
      })),
  );
  return [...tasks.slice(-MOST), ...messages.slice(-MOST)];
}

function wordsOf(body: Record<string, unknown>, ...names: string[]): string {
  const found = names.map((name) => textIn(body[name])).find((text) => text !== "") ?? "";
  return found.slice(0, 200);
}

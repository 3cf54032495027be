import type { StatusAnswer } from "@manyline/contracts";
import { STREAM_EVENTS, type ServerEvent } from "./server-event.ts";

export type StreamHandlers = {
  /** @param serverTime of the event */
  onEvent(event: ServerEvent, serverTime: string | undefined): void;
  /** Nothing more comes. The stream is closed; trying again is the caller's. */
  onEnd(): void;
};

/**
 * One `EventSource` on the number's events. Its own reconnecting is not used: the caller asks for the status
 * first, which tells an ended cookie from a server that is away. @returns how to close it
 */
export function openStream(url: string, handlers: StreamHandlers): () => void {
  const source = new EventSource(url);
  const end = (): void => {
    source.close();
    handlers.onEnd();
  };
  source.addEventListener("snapshot", (message) => {
    const answer = parse(message) as StatusAnswer | undefined;
    if (answer) handlers.onEvent({ type: "snapshot", answer }, answer.serverTime);
  });
  for (const type of STREAM_EVENTS) {
    source.addEventListener(type, (message) => {
      const envelope = parse(message) as { data: unknown; serverTime?: string } | undefined;
      if (!envelope) return;
      handlers.onEvent({ type, data: envelope.data } as ServerEvent, envelope.serverTime);
    });
  }
  // The cookie's time is up, or the server stops: the status answer tells which.
  source.addEventListener("ended", end);
  source.addEventListener("error", end);
  return () => source.close();
}

function parse(message: Event): unknown {
  if (!(message instanceof MessageEvent) || typeof message.data !== "string") return undefined;
  try {
    return JSON.parse(message.data) as unknown;
  } catch {
    return undefined;
  }
}

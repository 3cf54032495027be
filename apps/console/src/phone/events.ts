/** What the simulator tells as it happens, and the lines a person reads of it. Pure but for `listen`. */
import type { LinkedDevice, Phone } from "./api.ts";

export type SimulatorEvent =
  | { type: "linked" | "unlinked" | "login" | "live"; msisdn: string; device: LinkedDevice }
  | { type: "code-requested"; msisdn: string; display: string }
  | { type: "closed"; msisdn?: string; deviceId?: number }
  | { type: "phone-changed"; phone: Phone };

const NAMES = ["linked", "unlinked", "login", "live", "code-requested", "closed"] as const;

/** What a phone saw, for the list beside it; undefined: nothing a person would notice. */
export function describeEvent(event: SimulatorEvent): string | undefined {
  switch (event.type) {
    case "code-requested":
      return `code request, ${event.display}`;
    case "linked":
      return `device ${event.device.id} linked, ${event.device.name}`;
    case "unlinked":
      return `device ${event.device.id} logged out`;
    case "login":
      return `device ${event.device.id} logs in`;
    case "live":
      return `device ${event.device.id} connected`;
    case "closed":
      return event.deviceId === undefined ? undefined : `device ${event.deviceId} disconnected`;
    case "phone-changed":
      return undefined;
  }
}

/** Whose event it is. Connections that are not linked yet belong to no phone. */
export function phoneOfEvent(event: SimulatorEvent): string | undefined {
  return event.type === "phone-changed" ? event.phone.msisdn : event.msisdn;
}

/** Listens until the returned function is called; the browser reconnects by itself. */
export function listen(handlers: {
  onEvent: (event: SimulatorEvent) => void;
  /** is the stream there? */
  onLive: (isLive: boolean) => void;
}): () => void {
  const source = new EventSource("/events");
  source.addEventListener("open", () => handlers.onLive(true));
  source.addEventListener("error", () => handlers.onLive(false));
  for (const type of NAMES) {
    source.addEventListener(type, (message) => {
      handlers.onEvent({ type, ...(parse(message) as object) } as SimulatorEvent);
    });
  }
  source.addEventListener("phone-changed", (message) => {
    handlers.onEvent({ type: "phone-changed", phone: parse(message) as Phone });
  });
  return () => source.close();
}

function parse(message: Event): unknown {
  return message instanceof MessageEvent ? JSON.parse(String(message.data)) : {};
}

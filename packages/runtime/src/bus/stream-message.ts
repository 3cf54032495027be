import type { StreamMessage } from "./types.ts";
import type { Wire, WireMessage } from "./wire.ts";

/** A message as a consumer delivers it, with what is needed to answer for it. */
export type Delivery = {
  readonly message: StreamMessage;
  /** Counts this consumer's deliveries without a gap, from 1. */
  readonly deliverySeq: number;
  /** Where the answer goes. */
  readonly reply: string;
};

/**
 * Reads the place of a message out of its reply subject:
 * `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>`, since 2.10
 * perhaps with a domain and an account hash before the stream. Undefined for anything else.
 */
export function toDelivery(wireMessage: WireMessage): Delivery | undefined {
  const { reply } = wireMessage;
  if (reply === undefined || !reply.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  const start = tokens.length >= 11 ? 4 : 2;
  const [stream, , delivered, streamSeq, deliverySeq, nanos, pending] = tokens.slice(start);
  if (stream === undefined || nanos === undefined) return undefined;
  return {
    reply,
    deliverySeq: Number(deliverySeq),
    message: {
      stream,
      subject: wireMessage.subject,
      data: wireMessage.data,
      seq: Number(streamSeq),
      storedAt: new Date(Number(BigInt(nanos) / 1_000_000n)),
      deliveryCount: Number(delivered),
      pendingCount: Number(pending ?? 0),
      msgId: wireMessage.header("Nats-Msg-Id"),
      header: (name) => wireMessage.header(name),
    },
  };
}

/** `terminate` has no reason with it: 2.9 ignores a term that carries one, and sends the message again. */
export type Answer = "ack" | "working" | "terminate" | { readonly nakDelayMs: number };

/** Sends an answer; a lost one means that the message comes again after the ack wait. */
export function answer(wire: Wire, delivery: Delivery, what: Answer): void {
  try {
    wire.publish(delivery.reply, Buffer.from(toProtocol(what)));
  } catch {
    // The connection is gone: the server will deliver the message again.
  }
}

function toProtocol(what: Answer): string {
  if (typeof what === "object") {
    const delay = Math.round(what.nakDelayMs * 1_000_000);
    return delay > 0 ? `-NAK ${JSON.stringify({ delay })}` : "-NAK";
  }
  switch (what) {
    case "ack":
      return "+ACK";
    case "working":
      return "+WPI";
    case "terminate":
      return "+TERM";
  }
}

/**
 * The port to a NATS client library: one connection of core NATS that never reconnects by itself.
 * Everything above it (reconnecting, JetStream) is ours and the same for every client, so a client
 * is exchanged by writing one file that implements `Connect`.
 */
import type { Headers } from "./types.ts";

export type WireMessage = {
  readonly subject: string;
  readonly data: Uint8Array;
  readonly reply: string | undefined;
  /** A server status such as 100, 404, 408, 409, 503; 0 for an ordinary message. */
  readonly status: number;
  /** The text beside the status. */
  readonly description: string;
  header(name: string): string | undefined;
};

export type WireOptions = {
  /** URLs without user names; one is picked at random, the others tried after it. */
  readonly servers: readonly string[];
  /** Shown in the server's connection list. */
  readonly name: string;
  readonly timeoutMs: number;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The text of a `.creds` file. */
  readonly creds?: string;
  /** An nkey seed. */
  readonly nkeySeed?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  /** Default `_INBOX`. A prefix of its own keeps other users from reading this one's answers. */
  readonly inboxPrefix?: string;
};

export type Wire = {
  readonly serverVersion: string;
  readonly maxPayload: number;
  /** Resolves when the connection is gone, with the reason if there is one. */
  readonly closed: Promise<Error | undefined>;
  newInbox(): string;
  /** Throws when the connection is gone. */
  publish(subject: string, data: Uint8Array, options?: { reply?: string; headers?: Headers }): void;
  /** The answer ends the subscription. `onError`: the server refused it. */
  subscribe(
    subject: string,
    options: {
      queue?: string;
      onMessage: (message: WireMessage) => void;
      onError: (error: Error) => void;
    },
  ): () => void;
  /** Throws NoResponder, RequestTimeout, BusUnavailable, BusRefused, and no other. */
  request(
    subject: string,
    data: Uint8Array,
    options: { timeoutMs: number; headers?: Headers },
  ): Promise<WireMessage>;
  /** Resolves when the server has seen everything written so far. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

/** Opens a connection; throws when no server can be reached within the limit. */
export type Connect = (options: WireOptions) => Promise<Wire>;

/** Connections to customers' servers that are used again: by the same party, to the same judged addresses. */
import type { LookupAddress } from "node:dns";
import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";

/** Shorter than servers usually wait, so that it is we who close; what they announce (`keep-alive: timeout`) counts too. */
const IDLE_MS = 4_000;

/** What a connection is kept for: whoever asks for something else gets another. */
export function keptFor(party: string, judged: readonly LookupAddress[]): string {
  const addresses = judged.map(({ address }) => address).toSorted();
  return `${party} ${addresses.join()}`;
}

export class KeptConnections {
  readonly #most: number;
  readonly #plain: http.Agent;
  readonly #tls: https.Agent;
  readonly #idle = new Set<Duplex>();

  /** `most`: so many lie idle at a time, of all servers. */
  constructor({ most }: { most: number }) {
    const options = { keepAlive: true, timeout: IDLE_MS };
    this.#most = most;
    this.#plain = this.#prepared(new http.Agent(options));
    this.#tls = this.#prepared(new https.Agent(options));
  }

  agentFor(isTls: boolean): http.Agent {
    return isTls ? this.#tls : this.#plain;
  }

  /** Ends those that lie idle. */
  close(): void {
    this.#plain.destroy();
    this.#tls.destroy();
  }

  #prepared<Agent extends http.Agent>(agent: Agent): Agent {
    const getName = agent.getName.bind(agent);
    // False: the server says that it closes too soon.
    const keepSocketAlive: (socket: Duplex) => unknown = agent.keepSocketAlive.bind(agent);
    const reuseSocket = agent.reuseSocket.bind(agent);
    return Object.assign(agent, {
      getName: (options?: http.RequestOptions & { keptFor?: string }) =>
        `${getName(options)} ${options?.keptFor}`,
      keepSocketAlive: (socket: Duplex) => keepSocketAlive(socket) !== false && this.#keep(socket),
      reuseSocket: (socket: Duplex, request: http.ClientRequest) => {
        this.#idle.delete(socket);
        reuseSocket(socket, request);
      },
    });
  }

  #keep(socket: Duplex): boolean {
    if (this.#idle.size >= this.#most) {
      for (const one of this.#idle) if (one.destroyed) this.#idle.delete(one);
    }
    if (this.#idle.size >= this.#most) return false;
    this.#idle.add(socket);
    return true;
  }
}

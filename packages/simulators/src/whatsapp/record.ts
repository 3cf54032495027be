/** Who ended a connection. `client` is also a client that died; `dropped` is a cut by a fault or a protocol error. */
export type ClosedBy = "client" | "server" | "replaced" | "dropped";

/** One login of a device. Times are milliseconds of this process' clock, as `Date.now()` gives them. */
export type LoginRecord = {
  phone: string;
  deviceId: number;
  /** counts from 1 over all connections of the server */
  connectionId: number;
  /** `label` in the query of the WebSocket address: tests name the client's process with it */
  label: string | null;
  openedAt: number;
  closedAt: number | null;
  closedBy: ClosedBy | null;
  /** everything the client sent after the login, late ones included */
  stanzas: number;
  lastStanzaAt: number | null;
  /** what the client sent after a newer login of the same device; the server does not act on it */
  lateStanzas: number;
};

/** A login that was still open when a newer one of the same device began. */
export type Overlap = {
  phone: string;
  deviceId: number;
  /** from the newer login to the end of the older connection, or to now */
  ms: number;
  /** when the newer login began */
  at: number;
  older: { connectionId: number; label: string | null };
  newer: { connectionId: number; label: string | null };
  lateStanzas: number;
  /** first elements of late stanzas, such as `iq w:p` and `message`; at most five */
  late: string[];
};

export type RecordSummary = {
  /** logins that are open now, replaced ones included until their connection is gone */
  open: number;
  /** logins that ever were */
  logins: number;
  overlaps: Overlap[];
  /** late stanzas of those overlaps */
  lateStanzas: number;
};

/** One login while it is open. Costs nothing but its fields: no timer, no buffer. */
export class OpenLogin {
  readonly facts: LoginRecord;
  /** set when a newer login of the device began */
  overlap: Overlap | undefined;

  constructor(facts: LoginRecord) {
    this.facts = facts;
  }

  /** The client sent something. @returns whether it came too late: a newer login holds the device */
  count(kind: string): boolean {
    const { facts, overlap } = this;
    facts.stanzas++;
    facts.lastStanzaAt = Date.now();
    if (!overlap) return false;
    facts.lateStanzas++;
    overlap.lateStanzas++;
    if (overlap.late.length < KEPT_KINDS) overlap.late.push(kind);
    return true;
  }
}

const KEPT_KINDS = 5;

/** Every login with its beginning and end, the newest kept: what tests of ownership are judged by. */
export class ConnectionRecord {
  readonly #limit: number;
  #logins: LoginRecord[] = [];
  #overlaps: Overlap[] = [];
  /** device → its open logins, oldest first */
  readonly #open = new Map<string, OpenLogin[]>();
  #count = 0;

  /** @param limit logins kept; of overlaps a tenth. A few more are held until the next clean-up. */
  constructor(limit = 50_000) {
    this.#limit = limit;
  }

  open(fields: Pick<LoginRecord, "phone" | "deviceId" | "connectionId" | "label">): OpenLogin {
    const facts: LoginRecord = {
      ...fields,
      openedAt: Date.now(),
      closedAt: null,
      closedBy: null,
      stanzas: 0,
      lastStanzaAt: null,
      lateStanzas: 0,
    };
    const login = new OpenLogin(facts);
    const key = keyOf(facts);
    const older = this.#open.get(key) ?? [];
    for (const each of older) this.#supersede(each, facts);
    this.#open.set(key, [...older, login]);
    this.#count++;
    this.#logins = keepNewest(this.#logins, facts, this.#limit);
    return login;
  }

  close(login: OpenLogin, closedBy: ClosedBy): void {
    const { facts, overlap } = login;
    facts.closedAt = Date.now();
    facts.closedBy = closedBy;
    if (overlap) overlap.ms = facts.closedAt - overlap.at;
    const key = keyOf(facts);
    const rest = this.#open.get(key)?.filter((each) => each !== login) ?? [];
    if (rest.length === 0) this.#open.delete(key);
    else this.#open.set(key, rest);
  }

  /** Logins that were open at `since` or later, oldest first. */
  list({ since = 0, phone }: { since?: number; phone?: string } = {}): LoginRecord[] {
    return this.#logins.filter(
      (each) =>
        (each.closedAt === null || each.closedAt >= since) &&
        (phone === undefined || each.phone === phone),
    );
  }

  /** @param since only overlaps that began then or later */
  summary({ since = 0 }: { since?: number } = {}): RecordSummary {
    const now = Date.now();
    let open = 0;
    for (const logins of this.#open.values()) {
      open += logins.length;
      for (const { overlap } of logins) if (overlap) overlap.ms = now - overlap.at;
    }
    const overlaps = this.#overlaps.filter((each) => each.at >= since);
    const lateStanzas = overlaps.reduce((sum, each) => sum + each.lateStanzas, 0);
    return { open, logins: this.#count, overlaps, lateStanzas };
  }

  #supersede(older: OpenLogin, newer: LoginRecord): void {
    if (older.overlap) return; // it was replaced before; the first newcomer counts
    const { phone, deviceId, connectionId, label } = older.facts;
    older.overlap = {
      phone,
      deviceId,
      ms: 0,
      at: newer.openedAt,
      older: { connectionId, label },
      newer: { connectionId: newer.connectionId, label: newer.label },
      lateStanzas: 0,
      late: [],
    };
    this.#overlaps = keepNewest(this.#overlaps, older.overlap, this.#limit / 10);
  }
}

function keyOf({ phone, deviceId }: LoginRecord): string {
  return `${phone}:${deviceId}`;
}

/** Cuts only now and then, so that adding stays cheap. */
function keepNewest<T>(list: T[], item: T, limit: number): T[] {
  list.push(item);
  return list.length > limit * 1.2 ? list.slice(-limit) : list;
}

export const STANDING_FAULTS = [
  "login-failure",
  "min-version",
  "refuse-upgrades",
  "swallow-iq",
  "refuse-message",
  "lose-message",
  "lose-receipts",
  "garble",
] as const;
export type StandingFaultKind = (typeof STANDING_FAULTS)[number];

export type FaultArgs = Record<string, unknown>;

/** Where a fault applies; a missing field means everywhere. */
export type FaultScope = { phone?: string | undefined; deviceId?: number | undefined };

type StandingFault = { kind: StandingFaultKind; scope: FaultScope; args: FaultArgs; left: number };

/** Faults that wait for their occasion, until they are cleared or used up. */
export class Faults {
  #standing: StandingFault[] = [];

  /** @param times occasions after which the fault is gone; Infinity until cleared */
  add(kind: StandingFaultKind, scope: FaultScope, args: FaultArgs, times: number): void {
    this.#standing.push({ kind, scope, args, left: times });
  }

  /** The first fault for this occasion, used up by one. @returns its arguments */
  take(
    kind: StandingFaultKind,
    where: FaultScope,
    matches: (args: FaultArgs) => boolean = () => true,
  ): FaultArgs | undefined {
    if (this.#standing.length === 0) return undefined;
    const fault = this.#standing.find(
      (each) => each.kind === kind && covers(each.scope, where) && matches(each.args),
    );
    if (!fault) return undefined;
    if (--fault.left <= 0) this.#standing = this.#standing.filter((each) => each !== fault);
    return fault.args;
  }

  clear(): void {
    this.#standing = [];
  }

  get list(): readonly { kind: StandingFaultKind; scope: FaultScope; args: FaultArgs }[] {
    return this.#standing;
  }
}

function covers(scope: FaultScope, where: FaultScope): boolean {
  return (
    (scope.phone === undefined || scope.phone === where.phone) &&
    (scope.deviceId === undefined || scope.deviceId === where.deviceId)
  );
}

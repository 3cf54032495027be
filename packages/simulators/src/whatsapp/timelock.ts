import type { Account } from "./account.ts";
import { stanzaId } from "./crypto.ts";
import type { FaultArgs } from "./faults.ts";
import { OptionError } from "./options.ts";
import { el, SERVER_JID, unixNow } from "./stanza.ts";

const DEFAULT_SECONDS = 3_600;
/** the kind that has been seen in the field */
const DEFAULT_TYPE = "RESTRICT_ALL_COMPANIONS";

/**
 * Fault `timelock` {active (true), seconds (3600), type, push (true)}: the account may not write to people it
 * has no chat with (463), until it is lifted or its end has come.
 * @returns how many linked devices were told
 */
export function setTimelock(account: Account, args: FaultArgs): number {
  const { active = true, seconds = DEFAULT_SECONDS, type = DEFAULT_TYPE, push = true } = args;
  if (!Number.isInteger(seconds)) throw new OptionError("seconds must be a whole number");
  account.timelock =
    active === true ? { endsAt: unixNow() + Number(seconds), type: String(type) } : undefined;
  if (push !== true) return 0;
  const data = { xwa2_notify_account_reachout_timelock: timelockFields(account) };
  const op = { op_name: "NotificationUserReachoutTimelockUpdate" };
  const update = el("update", op, Buffer.from(JSON.stringify({ data })));
  for (const device of account.devices.values()) {
    const attrs = { from: SERVER_JID, type: "mex", id: stanzaId(), t: String(unixNow()) };
    device.push(el("notification", attrs, [update]));
  }
  return account.devices.size;
}

/** Whether the account may write to strangers now; a lock whose end has come is gone. */
export function isTimelocked(account: Account): boolean {
  if (account.timelock && account.timelock.endsAt <= unixNow()) account.timelock = undefined;
  return account.timelock !== undefined;
}

/** The lock as queries and notifications carry it. */
export function timelockFields(account: Account): Record<string, unknown> {
  if (!isTimelocked(account) || !account.timelock) return { is_active: false };
  const { endsAt, type } = account.timelock;
  return { is_active: true, time_enforcement_ends: String(endsAt), enforcement_type: type };
}

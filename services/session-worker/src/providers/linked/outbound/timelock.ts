/** The account may write only to people it has a chat with: how WhatsApp says it, asked and unasked. */
import { getBinaryNodeChild, type BinaryNode, type WASocket } from "@whiskeysockets/baileys";
import type { Timelock } from "../../provider.ts";

/** Asked: the kind of lock is not looked at, the library does not know all of them. */
export async function askTimelock(sock: WASocket): Promise<Timelock | undefined> {
  const { isActive, timeEnforcementEnds } = await sock.fetchAccountReachoutTimelock();
  return isActive ? { until: timeEnforcementEnds ?? null } : undefined;
}

/** Unasked: calls back at every change. */
export function watchTimelock(
  sock: WASocket,
  onChange: (timelock: Timelock | undefined) => void,
): void {
  sock.ws.prependListener("CB:notification,type:mex", (node: BinaryNode) => {
    const fields = pushed(node);
    if (!fields) return;
    const seconds = Number(fields["time_enforcement_ends"] ?? 0);
    const until = seconds > 0 ? new Date(seconds * 1_000) : null;
    onChange(fields["is_active"] === true ? { until } : undefined);
  });
}

function pushed(node: BinaryNode): Record<string, unknown> | undefined {
  const update = getBinaryNodeChild(node, "update");
  if (update?.attrs["op_name"] !== "NotificationUserReachoutTimelockUpdate") return undefined;
  const { content } = update;
  if (!(content instanceof Uint8Array) && typeof content !== "string") return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(content).toString());
    return at(at(parsed, "data"), "xwa2_notify_account_reachout_timelock");
  } catch {
    return undefined;
  }
}

function at(value: unknown, name: string): Record<string, unknown> | undefined {
  const found: unknown =
    typeof value === "object" && value !== null && name in value
      ? (value as Record<string, unknown>)[name]
      : undefined;
  return typeof found === "object" && found !== null
    ? (found as Record<string, unknown>)
    : undefined;
}

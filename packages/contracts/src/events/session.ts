/** Facts about the live connection of a number. Emitted by its owner, in the commit that stores the status. */
import { Type } from "typebox";
import { defineEvent } from "./define.ts";
import {
  PhoneField,
  ProviderField,
  ReasonField,
  StatusField,
  Timestamp,
  nullable,
} from "./fields.ts";

const data = Type.Object({
  status: StatusField,
  reason: ReasonField,
  previousStatus: nullable(StatusField),
  since: Timestamp,
  provider: ProviderField,
  phone: nullable(PhoneField),
  nextAction: Type.String({ description: "what a person can do; see docs/state-machines.md" }),
  until: Type.Optional(Timestamp),
});

export const sessionConnecting = defineEvent({
  type: "session.connecting",
  version: 1,
  description:
    "A connection is being opened, or a pairing attempt runs. Does not promise that it succeeds; wait for the next session event.",
  data,
});
export const sessionConnected = defineEvent({
  type: "session.connected",
  version: 1,
  description:
    "The number is linked and its connection is open. What people write comes as message events from here on.",
  data,
});
export const sessionDisconnected = defineEvent({
  type: "session.disconnected",
  version: 1,
  description:
    "The number has no connection and none is being opened; `reason` says why. `logged_out`: its credentials are gone, pair it again.",
  data,
});
export const sessionError = defineEvent({
  type: "session.error",
  version: 1,
  description:
    "WhatsApp refused, or something a machine cannot mend happened. Tell a person; `nextAction` says what helps.",
  data,
});
export const sessionBlocked = defineEvent({
  type: "session.blocked",
  version: 1,
  description:
    "Too many pairing codes were asked for: no code is given before `until`. Ends with session.disconnected, reason `not_linked`.",
  data,
});

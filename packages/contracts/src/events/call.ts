/** Facts about calls. Calls are told, not taken. */
import { Type } from "typebox";
import { PersonField } from "../message.ts";
import { defineEvent } from "./define.ts";
import { nullable } from "./fields.ts";
import { noticeFields } from "./notice.ts";

const notice = Type.Object({ ...noticeFields, person: nullable(PersonField) });

export const callReceived = defineEvent({
  type: "call.received",
  version: 1,
  description: "Somebody calls the number. Nothing here answers; write to them instead.",
  data: notice,
});
export const callChanged = defineEvent({
  type: "call.changed",
  version: 1,
  description: "A call rings, was taken, refused or ended, or was made by the company.",
  data: notice,
});

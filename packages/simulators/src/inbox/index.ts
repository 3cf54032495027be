/** Where mails and SMS end in development and in tests. */
export { InboxSimulator, startInboxSimulator } from "./simulator.ts";
export type { InboxOptions } from "./simulator.ts";
export type { SinkFault } from "./faults.ts";
export type { ReceivedMail } from "./smtp.ts";
export { segmentsOf } from "./twilio.ts";
export type { ReceivedSms, TwilioAccount } from "./twilio.ts";

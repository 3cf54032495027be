/** Flows: forms inside WhatsApp whose screens an endpoint of ours fills. Not for browsers: it encrypts with Node. */
export * from "./call.ts";
export * from "./envelope.ts";

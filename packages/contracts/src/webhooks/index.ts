/** Customers' webhooks. Not for browsers: it signs with Node. */
export * from "./signature.ts";
export * from "./rules.ts";

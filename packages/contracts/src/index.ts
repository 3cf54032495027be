/** Everything the rooms agree on: pure, no I/O, no environment. */
export * from "./ids.ts";
export * from "./session.ts";
export * from "./pairing.ts";
export * from "./phone.ts";
export * from "./errors.ts";
export * from "./commands.ts";
export * from "./subjects.ts";
export * from "./scopes.ts";
export * from "./permissions.ts";
export * from "./events/define.ts";
export * from "./events/catalogue.ts";
export * from "./events/envelope.ts";
export * from "./events/session.ts";
export * from "./events/pairing.ts";
export * from "./events/company.ts";
export * from "./rest/answers.ts";
export * from "./rest/companies.ts";

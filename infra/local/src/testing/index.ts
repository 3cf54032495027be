/** What end-to-end tests and benches of other rooms use: the whole stack, and numbers that are already linked. */
export * from "./local-stack.ts";
export { seedLinkedNumbers, type SeededNumber, type SeedOptions } from "./seed-linked-numbers.ts";

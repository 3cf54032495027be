/** Notices to people: what they say, who gets them, and when. */
export * from "./texts/shape.ts";
export * from "./render.ts";
export * from "./rules.ts";
export * from "./loss.ts";
export * from "./grouping.ts";

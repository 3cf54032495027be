/** For tests of other rooms: a real gateway, and somebody who plays the owner of its numbers. */
export { ask, openLine, stranger, textFrom } from "./conversations.ts";
export type { Line } from "./conversations.ts";
export { Owner } from "./owner.ts";
export { ADMIN_TOKEN, addCompany, addNumber, call, openWorld } from "./support.ts";
export type { World, WorldOptions } from "./support.ts";

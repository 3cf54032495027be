/** The two servers that are called WPP, at the wire: the closed platform, and WPPConnect Server. */
export { startWppPlatform, WppPlatformSimulator } from "./platform.ts";
export type { WppPlatformOptions } from "./platform.ts";
export type * from "./platform-world.ts";
export { startWppConnect, WppConnectSimulator } from "./connect.ts";
export type { WppConnectOptions } from "./connect.ts";
export type * from "./connect-world.ts";
export type { WppEffect, WppFault } from "./faults.ts";
export type { CallNote, WppAnswer } from "./http.ts";

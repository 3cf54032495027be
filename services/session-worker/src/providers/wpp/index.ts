/** The WPP provider: a number at the WPP Platform or at a WPPConnect Server, with a key of its own. */
import type { Provider } from "../provider.ts";
import { fetchWppFile } from "./files.ts";
import { openWppLogin } from "./login.ts";
import { endWppSession, openWppClient } from "./open.ts";
import type { WppParts } from "./parts.ts";

export type { WppParts } from "./parts.ts";
export { WppConnect } from "./connect.ts";
export { WppPlatform } from "./platform.ts";
export { createWppStore } from "./store.ts";

export function createWppProvider(parts: WppParts): Provider {
  return {
    link: () => {
      throw new Error("a WPP number is linked at its server");
    },
    login: (number, handlers) => openWppLogin(number, parts, handlers),
    fetchFile: (source, number) => fetchWppFile(source, number, parts),
    openWpp: (number, wish, ms) => openWppClient(number, wish, ms, parts),
    endSession: (number) => endWppSession(number, parts),
    tell: () => {
      throw new Error("what comes to a WPP number is in no journal");
    },
  };
}

/** The WPP provider: a number at the WPP Platform, with a key of its own. */
import type { Provider } from "../provider.ts";
import { openWppLogin } from "./login.ts";
import { openWppClient, type WppParts } from "./open.ts";

export { WppPlatform } from "./platform.ts";
export { createWppStore } from "./store.ts";

export function createWppProvider(parts: WppParts): Provider {
  return {
    link: () => {
      throw new Error("a number of the WPP Platform is linked there");
    },
    login: (number, handlers) => openWppLogin(number, parts, handlers),
    fetchFile: () => Promise.reject(new Error("files of WPP numbers are not fetched yet")),
    openWpp: (number, wish, ms) => openWppClient(number, wish, ms, parts),
    tell: () => {
      throw new Error("what comes to a number of the WPP Platform is in no journal");
    },
  };
}

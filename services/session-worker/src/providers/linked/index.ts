/** The linked provider: a number is a linked device of a phone, through Baileys. */
import type { FileSource, Provider } from "../provider.ts";
import { openLink } from "./link.ts";
import type { AuthStore } from "./auth-store.ts";
import { fetchFile } from "./inbound/files.ts";
import { tell } from "./inbound/tell.ts";
import { openLogin } from "./login.ts";
import type { SharedCaches } from "./shared-caches.ts";
import type { SocketFigures } from "./socket.ts";

export function createLinkedProvider(
  store: AuthStore,
  files: FileSource,
  figures: SocketFigures,
  caches: SharedCaches,
): Provider {
  return {
    link: (number, handlers) => openLink(number.numberId, figures, caches, handlers),
    login: (number, handlers) => openLogin(number, store, files, figures, caches, handlers),
    fetchFile: (source) => fetchFile(source, figures.url),
    tell: (entry) => tell(entry, store),
  };
}

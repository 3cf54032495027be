import type { WireState } from "../components/wire.tsx";
import type { Screen } from "./screen.ts";

/** How the line is drawn on a screen; undefined: it is not shown, there is nothing to tell. */
export function wireOf(screen: Screen): WireState | undefined {
  switch (screen) {
    case "link-invalid":
    case "link-missing":
    case "link-ended":
      return undefined;
    case "loading":
    case "qr-ask":
    case "phone-missing":
    case "entry":
    case "entry-error":
    case "refused":
      return "idle";
    case "qr-preparing":
    case "qr":
    case "qr-last":
    case "switching":
    case "switched":
    case "requesting":
    case "code":
    case "code-ending":
    case "linking":
      return "live";
    case "unreachable":
    case "expired":
    case "passkey":
    case "down":
      return "cut";
    case "not-on-whatsapp":
    case "failed":
    case "whatsapp-wait":
      return "bad";
    case "wait":
      return "stop";
    case "connected":
    case "already":
      return "up";
  }
}

import css from "./status-glyph.module.css";

export type GlyphState = "connected" | "connecting" | "disconnected" | "error" | "blocked" | "off";

const PATHS: Record<GlyphState, string> = {
  connected: "M1 6H17",
  connecting: "M1 6H4M7.5 6H10.5M14 6H17",
  disconnected: "M1 9H7M11 3H17",
  error: "M1 6H5M13 6H17M6.5 3.5L11.5 8.5M11.5 3.5L6.5 8.5",
  blocked: "M1 6H9M9 1.5V10.5",
  off: "M2 6H2.1M6.5 6H6.6M11 6H11.1M15.5 6H15.6",
};

/** The line in small: the sign of a state beside its word. */
export function StatusGlyph({ state }: { state: GlyphState }) {
  return (
    <svg class={`${css.glyph} ${css[state]}`} viewBox="0 0 18 12" aria-hidden="true">
      <path d={PATHS[state]} />
      {state === "connected" && <circle cx="9" cy="6" r="3" />}
    </svg>
  );
}

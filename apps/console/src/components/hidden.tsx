import type { ComponentChildren } from "preact";
import css from "./hidden.module.css";

/** Text for screen readers only. */
export function Hidden({ children }: { children: ComponentChildren }) {
  return <span class={css.hidden}>{children}</span>;
}

/** Two regions that are on the page from the start, so that what changes in them is read out. */
export function LiveRegions({ polite, alert }: { polite: string; alert: string }) {
  return (
    <div class={css.hidden}>
      <p role="status">{polite}</p>
      <p role="alert">{alert}</p>
    </div>
  );
}

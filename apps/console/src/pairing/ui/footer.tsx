import type { View } from "./view.ts";
import css from "./app.module.css";

/** What linking allows, and help for what goes wrong on the phone. */
export function Footer({ view }: { view: View }) {
  const { screen, state, words } = view;
  const { t } = words;
  if (!state.facts || screen.startsWith("link-")) return null;
  const isDone = screen === "connected" || screen === "already" || screen === "down";
  return (
    <footer class={css.foot}>
      <p>{t("page.trust")}</p>
      {!isDone && (
        <details>
          <summary>{t("page.helpTitle")}</summary>
          <ul>
            <li>{t("page.helpCouldNotLink")}</li>
            <li>{t("page.helpUpdate")}</li>
            <li>{t("page.helpFour")}</li>
            {state.attempt && <li>{t("page.reference", { ref: state.attempt.id })}</li>}
          </ul>
        </details>
      )}
    </footer>
  );
}

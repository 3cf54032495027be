import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { LiveRegions } from "../../components/hidden.tsx";
import { Mark } from "../../components/mark.tsx";
import { TabPanel, Tabs } from "../../components/tabs.tsx";
import { Wire } from "../../components/wire.tsx";
import { createCatalogue } from "../../strings/catalogue.ts";
import { LANGUAGES, type Dictionary, type Language } from "../../strings/language.ts";
import { announcementOf } from "../announce.ts";
import type { PairingController } from "../controller.ts";
import { hasTabs, screenOf } from "../screen.ts";
import { initialState, type PageState } from "../state.ts";
import { wireOf } from "../wire.ts";
import { announcementText } from "./announcement-text.ts";
import { CodePanel } from "./code-panel.tsx";
import { EMPTY_DRAFT, firstDraft } from "./draft.ts";
import { Footer } from "./footer.tsx";
import { PageNotices } from "./page-notices.tsx";
import { phoneName } from "./phone-name.ts";
import { QrPanel } from "./qr-panel.tsx";
import { Statement } from "./statement.tsx";
import type { View } from "./view.ts";
import css from "./app.module.css";

/** The whole pairing page. @param onLanguage loads another language and renders again with it */
export function App(props: {
  controller: PairingController;
  language: Language;
  dictionary: Dictionary;
  onLanguage: (language: Language) => void;
}) {
  const { controller, language, dictionary } = props;
  const [state, setState] = useState(controller.state);
  const [draft, setDraft] = useState(EMPTY_DRAFT);
  const [polite, setPolite] = useState("");
  const [alerted, setAlerted] = useState("");
  const { facts } = state;
  const company = facts?.company.name ?? "";
  const words = useMemo(
    () => createCatalogue(language, dictionary, company),
    [language, dictionary, company],
  );
  const spoken = useRef(words);
  spoken.current = words;

  useEffect(() => {
    const show = (next: PageState, before: PageState): void => {
      setState(next);
      const announcement = announcementOf(before, next);
      if (!announcement) return;
      const text = announcementText(announcement, next, spoken.current);
      if (announcement.region === "polite") setPolite(text);
      else setAlerted(text);
    };
    // First what happened while the texts were fetched.
    const { now } = controller.state;
    show(controller.state, initialState({ now, isPhone: false }));
    return controller.subscribe(show);
  }, [controller]);
  useEffect(() => {
    if (facts && draft.isGuess) setDraft(firstDraft(facts, navigator.languages));
  }, [facts, draft.isGuess]);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = company ? words.t("page.title") : "Manyline";
  }, [language, company, words]);
  useFocus(state.focusCount);

  const alert = useCallback((text: string) => setAlerted(text), []);
  const screen = screenOf(state);
  const wire = wireOf(screen);
  const view: View = {
    state,
    screen,
    words,
    draft,
    setDraft,
    dispatch: (event) => controller.dispatch(event),
    tryNow: () => controller.tryNow(),
    alert,
  };
  const { t } = words;
  return (
    <div class={css.page}>
      <button
        type="button"
        class={css.skip}
        onClick={() => document.getElementById("content")?.focus()}
      >
        {t("page.skip")}
      </button>
      <header class={css.bar}>
        <Mark />
        <select
          class={css.language}
          aria-label={t("page.language")}
          value={language}
          onChange={(event) => props.onLanguage(event.currentTarget.value as Language)}
        >
          {Object.entries(LANGUAGES).map(([id, name]) => (
            <option key={id} value={id} lang={id}>
              {name}
            </option>
          ))}
        </select>
      </header>
      <main id="content" tabIndex={-1} data-screen={screen}>
        {hasTabs(screen) && (
          <>
            <h1>{t("page.heading")}</h1>
            <p class={css.lead}>{t("page.lead")}</p>
          </>
        )}
        {wire && (company || screen === "loading") && (
          <Wire state={wire} left={phoneName(view)} right={company} />
        )}
        {hasTabs(screen) ? (
          <>
            <Tabs
              label={t("page.methods")}
              items={[
                { id: "qr", label: t("page.tabQr") },
                { id: "code", label: t("page.tabCode") },
              ]}
              chosen={state.tab}
              onChoose={(tab) => controller.dispatch({ type: "choose-tab", tab })}
            />
            <PageNotices view={view} />
            <TabPanel id={state.tab}>
              {state.tab === "qr" ? <QrPanel view={view} /> : <CodePanel view={view} />}
            </TabPanel>
          </>
        ) : (
          <>
            <Statement view={view} screen={screen} />
            <PageNotices view={view} />
          </>
        )}
      </main>
      <Footer view={view} />
      <LiveRegions polite={polite} alert={alerted} />
    </div>
  );
}

/** What a person asked for takes the focus when it is there: its heading or field, else the panel. */
function useFocus(focusCount: number): void {
  useLayoutEffect(() => {
    if (focusCount === 0) return;
    const target =
      document.querySelector<HTMLElement>("main [data-focus]") ??
      document.querySelector<HTMLElement>('main [role="tabpanel"]');
    target?.focus();
  }, [focusCount]);
}

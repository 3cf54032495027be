/** The pairing page's start: language, link, controller, first rendering. */
import { render } from "preact";
import { chooseLanguage, isLanguage, type Language } from "../strings/language.ts";
import { loadDictionary } from "../strings/load.ts";
import { loadEncoder } from "../components/qr-image.tsx";
import { createApi } from "./api.ts";
import { createServerClock } from "./clock.ts";
import { PairingController } from "./controller.ts";
import { addressAfterExchange, readLink } from "./link.ts";
import { initialState } from "./state.ts";
import { openStream } from "./stream.ts";
import { App } from "./ui/app.tsx";
import { loadPhoneForm } from "./ui/lazy-phone-form.tsx";

const LANGUAGE_KEY = "manyline.language";

async function start(root: HTMLElement): Promise<void> {
  const url = new URL(location.href);
  const clock = createServerClock();
  const isPhone = matchMedia("(pointer: coarse) and (max-width: 640px)").matches;
  const controller = new PairingController(
    initialState({ now: clock.now(), isPhone }),
    readLink(url),
    {
      api: createApi(),
      clock,
      openStream,
      isVisible: () => document.visibilityState === "visible",
      isOnline: () => navigator.onLine,
      onExchanged: (companyId) =>
        history.replaceState(null, "", addressAfterExchange(url, companyId)),
    },
  );
  const wishes = [url.searchParams.get("lang"), storedLanguage(), ...navigator.languages];
  let language = chooseLanguage(wishes);

  async function show(next: Language): Promise<void> {
    const dictionary = await loadDictionary(next);
    language = next;
    render(
      <App
        controller={controller}
        language={next}
        dictionary={dictionary}
        onLanguage={(chosen) => {
          storeLanguage(chosen);
          void show(chosen);
        }}
      />,
      root,
    );
  }

  controller.start();
  document.addEventListener("visibilitychange", () => controller.visibilityChanged());
  addEventListener("online", () => controller.tryNow());
  await show(language);
  // Both will be needed soon, on a network that is there now.
  void Promise.allSettled([loadEncoder(), loadPhoneForm()]);
  if (wishes.some((wish) => isLanguage(wish?.slice(0, 2).toLowerCase() ?? ""))) return;
  // Nobody said which language: the company's, as soon as it is known.
  const unsubscribe = controller.subscribe(({ facts }) => {
    if (!facts) return;
    unsubscribe();
    const companys = chooseLanguage([facts.company.language]);
    if (companys !== language) void show(companys);
  });
}

function storedLanguage(): string | null {
  try {
    return localStorage.getItem(LANGUAGE_KEY);
  } catch {
    return null;
  }
}

function storeLanguage(language: Language): void {
  try {
    localStorage.setItem(LANGUAGE_KEY, language);
  } catch {
    // A browser without storage asks again next time.
  }
}

const root = document.getElementById("app");
if (root) void start(root);

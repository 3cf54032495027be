/** The start of the page that shows what each kind of number can do. */
import { render } from "preact";
import type { Language } from "../strings/language.ts";
import { CapabilitiesPage } from "./capabilities-page.tsx";
import { firstSpoken, loadWords } from "./words.ts";

async function show(root: HTMLElement, language: Language): Promise<void> {
  const words = await loadWords(language);
  document.documentElement.lang = language;
  document.title = `${words["page.title"]} · Manyline`;
  const onLanguage = (next: Language): void => void show(root, next);
  render(<CapabilitiesPage language={language} words={words} onLanguage={onLanguage} />, root);
}

const root = document.getElementById("app");
const wish = new URL(location.href).searchParams.get("lang");
if (root) void show(root, firstSpoken([wish, ...navigator.languages]));

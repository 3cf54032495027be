import type { Language } from "../../rest/companies.ts";
import { en } from "./en.ts";
import { es } from "./es.ts";
import { pt } from "./pt.ts";
import { ru } from "./ru.ts";
import type { NoticeTexts } from "./shape.ts";

export const TEXTS: Readonly<Record<Language, NoticeTexts>> = { en, ru, es, pt };

import type { Catalogue } from "../../strings/catalogue.ts";
import type { PhoneDraft } from "./draft.ts";
import type { PageEvent } from "../reduce.ts";
import type { Screen } from "../screen.ts";
import type { PageState } from "../state.ts";

/** What every part of the page is given. */
export type View = {
  state: PageState;
  screen: Screen;
  words: Catalogue;
  draft: PhoneDraft;
  setDraft: (draft: PhoneDraft) => void;
  dispatch: (event: PageEvent) => void;
  tryNow: () => void;
  /** read out at once */
  alert: (text: string) => void;
};

/** The heading, or the field, that takes the focus when a person asked for this screen. */
export const FOCUS_TARGET = { "data-focus": "", tabIndex: -1 } as const;

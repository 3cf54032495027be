/** A gateway and a screen for the tests of commands. */
import type { Rest } from "../rest.ts";
import { COMMANDS } from "../commands.ts";
import type { Screen } from "./command.ts";

export type Asked = { method: string; path: string; body?: unknown };

/** Answers by `METHOD path`, without the words after `?`; a list is answered in turns, its last for ever. */
export function fakeRest(answers: Record<string, unknown>): { rest: Rest; asked: Asked[] } {
  const asked: Asked[] = [];
  const turns = new Map<string, number>();
  const rest: Rest = (method, path, body) => {
    asked.push(body === undefined ? { method, path } : { method, path, body });
    const key = `${method} ${path.split("?")[0] ?? path}`;
    const answer = answers[key];
    if (answer === undefined) return Promise.reject(new Error(`nobody answers ${key}`));
    if (!Array.isArray(answer)) return Promise.resolve(answer);
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    const taken: unknown = answer[Math.min(turn, answer.length - 1)];
    return Promise.resolve(taken);
  };
  return { rest, asked };
}

/** `interrupt` plays Ctrl-C. */
export function fakeScreen(isTerminal = false): {
  screen: Screen;
  shown: () => string;
  hasFailed: () => boolean;
  interrupt: () => void;
} {
  let text = "";
  let failed = false;
  const abort = new AbortController();
  const screen: Screen = {
    isTerminal,
    columns: 100,
    write: (more) => {
      text += more;
    },
    fail: () => {
      failed = true;
    },
    interruptible: (work) => work(abort.signal),
  };
  return {
    screen,
    shown: () => text,
    hasFailed: () => failed,
    interrupt: () => abort.abort(),
  };
}

/** Runs a command's words against the answers. */
export async function run(
  words: string,
  answers: Record<string, unknown>,
): Promise<{ lines: string[]; asked: Asked[]; shown: string; hasFailed: boolean }> {
  const [name = "", ...args] = words.split(" ");
  const command = COMMANDS.get(name);
  if (!command) throw new Error(`there is no command ${name}`);
  const { rest, asked } = fakeRest(answers);
  const { screen, shown, hasFailed } = fakeScreen();
  const lines = await command.run(rest, args, screen);
  return { lines, asked, shown: shown(), hasFailed: hasFailed() };
}

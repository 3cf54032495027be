/**
 * Exhaustive search through everything a small model can do: breadth first, every state once. What it
 * finds first is therefore a shortest schedule that breaks a promise; if it finds none and was not cut
 * short, there is none within the model's bounds.
 */
export type Step<State> = {
  /** One line of a schedule, for people. */
  label: string;
  next: State;
  /** The promise that this step breaks. */
  broken?: string | undefined;
};

export type Model<State> = {
  initial: State;
  /** Everything that may happen next, whoever does it. */
  steps: (state: State) => Step<State>[];
  /** Equal for states that are the same but for the names of the workers. */
  key: (state: State) => string;
};

export type Found = {
  broken: string;
  /** What happened, from the start. */
  schedule: string[];
};

export type Outcome = {
  states: number;
  transitions: number;
  /** Steps of the longest of the shortest ways to a state. */
  depth: number;
  found: Found | undefined;
};

/** @throws when there are more than `maxStates` states: a search that is cut short proves nothing */
export function search<State>(model: Model<State>, maxStates = 2_000_000): Outcome {
  const known = new Set([model.key(model.initial)]);
  const labels = [""];
  const parents = [-1];
  let frontier: { id: number; state: State }[] = [{ id: 0, state: model.initial }];
  let transitions = 0;
  let depth = 0;
  const outcome = (found?: Found): Outcome => ({ states: known.size, transitions, depth, found });
  const scheduleTo = (id: number): string[] => {
    const schedule: string[] = [];
    for (let at = id; at > 0; at = parents[at] ?? -1) schedule.push(labels[at] ?? "");
    return schedule.toReversed();
  };
  for (;;) {
    const next: typeof frontier = [];
    for (const { id, state } of frontier) {
      for (const step of model.steps(state)) {
        transitions += 1;
        if (step.broken !== undefined) {
          return outcome({ broken: step.broken, schedule: [...scheduleTo(id), step.label] });
        }
        const key = model.key(step.next);
        if (known.has(key)) continue;
        if (known.size >= maxStates) throw new Error(`more than ${maxStates} states`);
        known.add(key);
        labels.push(step.label);
        parents.push(id);
        next.push({ id: labels.length - 1, state: step.next });
      }
    }
    if (next.length === 0) return outcome();
    depth += 1;
    frontier = next;
  }
}

/** For test output. */
export function describe(name: string, outcome: Outcome): string {
  const { states, transitions, depth, found } = outcome;
  const figures = `${states} states, ${transitions} transitions, depth ${depth}`;
  if (found === undefined) return `${name}: nothing broken in ${figures}`;
  const lines = found.schedule.map((line, index) => `  ${index + 1}. ${line}`);
  return [`${name}: broken after ${figures}: ${found.broken}`, ...lines].join("\n");
}

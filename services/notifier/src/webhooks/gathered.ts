/** What is asked for while an answer is awaited is asked for together: the busier it is, the fewer the questions. */

import { isUnavailable } from "@manyline/db";

type Waiting<In, Out> = {
  input: In;
  resolve: (out: Out) => void;
  reject: (error: unknown) => void;
};

export class Gathered<In, Out> {
  readonly #work: (inputs: In[]) => Promise<Out[]>;
  readonly #lanes: number;
  readonly #most: number;
  #busy = 0;
  #waiting: Waiting<In, Out>[] = [];

  /** `work` answers each input, in their order. `lanes` run side by side, with `most` inputs each. */
  constructor(
    work: (inputs: In[]) => Promise<Out[]>,
    { lanes, most }: { lanes: number; most: number },
  ) {
    this.#work = work;
    this.#lanes = lanes;
    this.#most = most;
  }

  ask(input: In): Promise<Out> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#busy >= this.#lanes || this.#waiting.length === 0) return;
    const batch = this.#waiting.splice(0, this.#most);
    this.#busy += 1;
    void this.#run(batch).finally(() => {
      this.#busy -= 1;
      this.#next();
    });
  }

  async #run(batch: readonly Waiting<In, Out>[]): Promise<void> {
    try {
      const answers = await this.#work(batch.map(({ input }) => input));
      for (const [place, { resolve, reject }] of batch.entries()) {
        const answer = answers[place];
        if (answer === undefined) reject(new Error("there was no answer"));
        else resolve(answer);
      }
    } catch (error) {
      const [first] = batch;
      if (!first || batch.length === 1 || isUnavailable(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      // One that cannot be answered must not be all of them.
      for (const one of batch) await this.#run([one]);
    }
  }
}

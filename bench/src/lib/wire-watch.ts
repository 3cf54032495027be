/** What the simulated WhatsApp's phones receive, as its event stream tells it: when a message was on the wire. */

export type WireWatch = AsyncDisposable & {
  /** By text: when it arrived, milliseconds of the machine's clock. What a number's own phone gets is left out. */
  arrived: Map<string, number>;
};

type Told = { message: { text?: string; at: number; fromMe: boolean } };

export async function watchWire(simulatorUrl: string): Promise<WireWatch> {
  const over = new AbortController();
  const response = await fetch(`${simulatorUrl}/events`, { signal: over.signal });
  const { body } = response;
  if (!response.ok || !body) throw new Error(`no event stream: ${response.status}`);
  const arrived = new Map<string, number>();
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + chunk).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        const data = /^event: message\ndata: (.*)$/.exec(event)?.[1];
        if (data === undefined) continue;
        const { message } = JSON.parse(data) as Told;
        if (!message.fromMe && message.text !== undefined && !arrived.has(message.text))
          arrived.set(message.text, message.at);
      }
    }
  };
  const reading = read().catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  return {
    arrived,
    [Symbol.asyncDispose]: async () => {
      over.abort();
      await reading;
    },
  };
}

/**
 * Ctrl-C and its like. The first signal asks work to end at the next safe place, the second ends
 * the process at once. Handlers only run when work hands over to the event loop: see `breathe`.
 */
import { setImmediate } from "node:timers/promises";

const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
type Signal = keyof typeof EXIT_CODES;

const LONGEST_HOLD_MS = 50;

export class Interrupt {
  #received: Signal | undefined;
  #lastBreath = performance.now();
  readonly #onFirst: (signal: Signal) => void;
  readonly #handlers: (readonly [Signal, () => void])[];

  /** `onFirst` is called once, at the first signal. */
  constructor(onFirst: (signal: Signal) => void) {
    this.#onFirst = onFirst;
    this.#handlers = (Object.keys(EXIT_CODES) as Signal[]).map((signal) => [signal, () => this.#receive(signal)]);
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  get received(): boolean {
    return this.#received !== undefined;
  }

  /** What the process should end with: 128 + the signal's number, or 0 if there was none. */
  get exitCode(): number {
    return this.#received ? EXIT_CODES[this.#received] : 0;
  }

  /** Lets handlers run, if the last time is long ago. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#lastBreath < LONGEST_HOLD_MS) return;
    await setImmediate();
    this.#lastBreath = performance.now();
  }

  release(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #receive(signal: Signal): void {
    if (this.#received) process.exit(EXIT_CODES[signal]);
    this.#received = signal;
    this.#onFirst(signal);
  }
}

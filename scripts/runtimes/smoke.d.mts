/** One line of what a short training on engine wasm gave: the same in every runtime. */
export function smoke(): Promise<string>;

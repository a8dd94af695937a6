/** The table of nets, what lies between a model's input and its head: a new one is one file in nets/ and one line here. */
import type { Net, NetOptions } from "./net.ts";
import { mlpNet } from "./nets/mlp.ts";
import { recurrentNet } from "./nets/recurrent.ts";
import { transformerNet } from "./nets/transformer.ts";

export const nets = { recurrent: recurrentNet, mlp: mlpNet, transformer: transformerNet } satisfies Record<string, Net>;
export type NetName = keyof typeof nets;
export const NETS = Object.keys(nets) as [NetName, ...NetName[]];

/** For people: the cell of a recurrent net, the name of another. */
export function netName({
  net = "recurrent",
  cell = "lstm",
}: Pick<NetOptions, "cell"> & { net?: NetName | undefined }): string {
  return net === "recurrent" ? cell : net;
}

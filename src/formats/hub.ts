/** What lies beside the weights in a model folder as Hugging Face lays it out: config.json, vocab.json, README.md. */
import type { ModelSpec } from "../nn/model.ts";
import { netName, nets } from "../nn/nets.ts";
import type { SourceSpec } from "../tasks/task.ts";

/** Cells that torch.nn has as a class, with our parameter names after the first dot. */
const TORCH_CLASSES: Readonly<Record<string, string>> = { lstm: "LSTM", gru: "GRU", rnn: "RNN" };
const PLAIN_NAME = /^(embedding\.weight|head\.(weight|bias)|[a-z]+\.(weight|bias)_[ih]h_l\d+(_reverse)?)$/;

/** The class of torch.nn that takes a net's recurrent parameters as they are; undefined if there is none. */
export function torchClass(spec: ModelSpec, parameterNames: readonly string[]): string | undefined {
  if (spec.residual) return undefined;
  return parameterNames.every((name) => PLAIN_NAME.test(name)) ? TORCH_CLASSES[netName(spec)] : undefined;
}

/** config.json: the field's names, and under `gatesieve` what this library needs to open the model again. */
export function hubConfig(
  spec: ModelSpec,
  parameterNames: readonly string[],
  gatesieve: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const { input, output, source } = spec;
  const rnn = torchClass(spec, parameterNames);
  const tokens = input.kind === "tokens";
  return {
    model_type: "gatesieve",
    architectures: rnn ? [rnn] : [],
    torch_dtype: "float32",
    cell: netName(spec),
    vocab_size: tokens ? input.vocabulary : null,
    embedding_size: tokens ? (input.embedding ?? 0) : 0,
    input_size: tokens ? input.embedding || input.vocabulary : input.size,
    hidden_size: spec.hiddenSize,
    num_layers: spec.numLayers,
    bidirectional: parameterNames.some((name) => name.endsWith("_reverse")),
    dropout: spec.dropout ?? 0,
    output_size: output.size,
    output_kind: output.kind,
    output_positions: output.positions,
    ...(source ? { is_encoder_decoder: true, attention: spec.attention ?? "general", ...sourceConfig(source) } : {}),
    gatesieve,
  };
}

/** What the encoder reads. */
function sourceConfig(source: SourceSpec): Record<string, unknown> {
  const tokens = source.kind === "tokens";
  return {
    source_kind: source.kind,
    source_length: source.length,
    source_vocab_size: tokens ? source.vocabulary : null,
    source_embedding_size: tokens ? (source.embedding ?? 0) : 0,
    source_input_size: tokens ? source.embedding || source.vocabulary : source.size,
  };
}

/** vocab.json: { token: number }. Not from an object, which would put tokens such as "7" first and lose "__proto__". */
export function hubVocabulary(vocabulary: readonly string[]): string {
  return `{\n${vocabulary.map((token, number) => `  ${JSON.stringify(token)}: ${number}`).join(",\n")}\n}\n`;
}

/** Loads a model folder into torch.nn, with PyTorch alone; tokens or features in, `output` out. */
export const TORCH_SNIPPET = `
import json, torch
from torch import nn
folder = "."
config = json.load(open(f"{folder}/config.json"))
raw = bytearray(open(f"{folder}/model.safetensors", "rb").read())  # or: weights = safetensors.torch.load_file(...)
start = 8 + int.from_bytes(raw[:8], "little")
places = {name: (p["shape"], p["data_offsets"]) for name, p in json.loads(raw[8:start]).items() if name[:2] != "__"}
weights = {name: torch.frombuffer(raw[start + a:start + b], dtype=torch.float32).reshape(shape) for name, (shape, (a, b)) in places.items()}
part = lambda module: {name[len(module):]: w for name, w in weights.items() if name.startswith(module)}
rnn = getattr(nn, config["architectures"][0])(config["input_size"], config["hidden_size"], config["num_layers"], bidirectional=config["bidirectional"])
rnn.load_state_dict(part(config["cell"] + "."))
read = (lambda tokens: nn.functional.embedding(tokens, weights["embedding.weight"])) if config["embedding_size"] else (
  lambda tokens: nn.functional.one_hot(tokens, config["vocab_size"]).float()) if config["vocab_size"] else (lambda features: features)
run = lambda x, states=None: rnn(read(x), states)  # x: tokens (T, B) or features (T, B, input_size)
head = lambda y: nn.functional.linear(y, weights["head.weight"], weights["head.bias"])  # of y, or of y[-1] where output_positions is "last"
`.trim();

export interface ModelCard {
  readonly name: string;
  readonly version: string;
  readonly parameters: number;
  readonly task: string;
  readonly net: string;
  readonly policy: string;
  /** Name of a score and its value as text. */
  readonly scores: readonly (readonly [string, string])[];
  readonly torch: boolean;
  /** What it is asked with: "eval", "sample". */
  readonly commands: readonly string[];
}

/** README.md */
export function modelCard({
  name,
  version,
  parameters,
  task,
  net,
  policy,
  scores,
  torch,
  commands,
}: ModelCard): string {
  const kind = (net.split(" ")[0] as string).toLowerCase(); // "LSTM 2 x 128"
  const lines = [
    "---",
    "library_name: gatesieve",
    `tags: [${Object.hasOwn(nets, kind) ? "" : "recurrent, "}${kind}, gatesieve]`,
    "---",
    "",
    `# ${name}`,
    "",
    `${net}, ${parameters} parameters, trained by [Gatesieve](https://www.npmjs.com/package/gatesieve) ${version} on task ${task}, policy \`${policy}\`.`,
    "",
    ...(scores.length
      ? ["| score | |", "|---|---|", ...scores.map(([label, value]) => `| ${label} | ${value} |`), ""]
      : []),
    `With Gatesieve: \`gatesieve import FOLDER\`, then ${commands.map((command) => `\`${command}\``).join(", ")}, or \`train --from FOLDER\`.`,
    "",
  ];
  if (torch) lines.push("With PyTorch:", "", "```python", TORCH_SNIPPET, "```", "");
  return lines.join("\n");
}

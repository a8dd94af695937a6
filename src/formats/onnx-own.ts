/**
 * Graphs that Gatesieve wrote, read back: parameters by their names, and the graph against the one that is written for the
 * net they are to be of. onnx-import.ts instead finds a net in a graph of anybody's, which goes as far as recurrent layers.
 */
import { OnnxError, type OnnxGraph, type OnnxNode, type OnnxTensor } from "./onnx.ts";
import { nameOf, type OnnxParameter, parameterOf } from "./onnx-node.ts";
import { ONNX_GATES } from "./onnx-time-layers.ts";

/** "weight", "in_proj_bias", "weight_ih_l0_reverse": how names of parameters end, and of no constant. */
const PARAMETER = /(^|[._])(weight|bias)(_(ih|hh)_l\d+(_reverse)?)?$/;
/** "encoder.lstm.l0.W": what ONNX' operators take of a layer, all directions together. */
const PACKED = /^(.*\.)?(lstm|gru|rnn)\.l(\d+)\.([WRB])$/;

/** By PyTorch's names, as `onnxOfModel` and `onnxOfEncoderDecoder` were given them. Views of the file's bytes. */
export function parametersOfOwn({ initializers }: OnnxGraph, source = "onnx"): Map<string, OnnxParameter> {
  const parameters = new Map<string, OnnxParameter>();
  const add = (name: string, parameter: OnnxParameter) => {
    if (parameters.has(name)) throw new OnnxError(`${source}: parameter "${name}" is there twice.`);
    parameters.set(name, parameter);
  };
  for (const tensor of initializers) {
    const packed = PACKED.exec(tensor.name);
    if (!packed && !PARAMETER.test(tensor.name)) continue;
    if (tensor.type !== "FLOAT")
      throw new OnnxError(`${source}: "${tensor.name}" is ${tensor.type}, expected FLOAT, as Gatesieve writes it.`);
    if (!packed) add(tensor.name, parameterOf(tensor, 0, tensor.dims, [0]));
    else for (const [name, parameter] of unpacked(tensor, packed, source)) add(name, parameter);
  }
  return parameters;
}

/** W and R (D, G*H, ...) are a parameter for each direction, B (D, 2*G*H) two of them. */
function unpacked(tensor: OnnxTensor, [, prefix = "", cell, layer, which]: RegExpExecArray, source: string) {
  const order = ONNX_GATES[cell as string] as readonly number[];
  const { name, dims } = tensor;
  const [D = 0, all = 0, width = 1] = dims;
  const rows = which === "B" ? all / 2 : all;
  if (dims.length !== (which === "B" ? 2 : 3) || D < 1 || D > 2 || rows < 1 || rows % order.length !== 0)
    throw new OnnxError(`${source}: "${name}" is [${dims}], which ${which} of no ${cell} is.`);
  const kinds = { W: ["weight_ih"], R: ["weight_hh"], B: ["bias_ih", "bias_hh"] }[which as "W" | "R" | "B"];
  const shape = which === "B" ? [rows] : [rows, width];
  return Array.from({ length: D }, (_, d) =>
    kinds.map((kind, k) => {
      const parameter = parameterOf(tensor, (d * all + k * rows) * width, shape, order);
      return [`${prefix}${cell}.${kind}_l${layer}${d ? "_reverse" : ""}`, parameter] as const;
    }),
  ).flat();
}

/**
 * Where a graph that was read departs from one that is to be written; undefined: nowhere. Weights, which the one to be
 * written has not made yet, count by type and shape; everything else by its very bytes.
 */
export function differenceOfGraphs(expected: OnnxGraph, got: OnnxGraph): string | undefined {
  return (
    differenceOfNodes(expected.nodes, got.nodes) ??
    differenceOfConstants(expected.initializers, got.initializers) ??
    differenceOfEnds("input", expected.inputs, got.inputs) ??
    differenceOfEnds("output", expected.outputs, got.outputs)
  );
}

function differenceOfNodes(expected: readonly OnnxNode[], got: readonly OnnxNode[]): string | undefined {
  for (let at = 0; at < Math.max(expected.length, got.length); at++) {
    const [wanted, node] = [expected[at], got[at]];
    if (!node) return `${nameOf(wanted!)} is missing`;
    if (!wanted) return `${nameOf(node)} is one too many`;
    if (textOfNode(node) !== textOfNode(wanted))
      return `${nameOf(node)} has other inputs, outputs or settings than ${nameOf(wanted)} in its place`;
  }
  return undefined;
}

function differenceOfConstants(expected: readonly OnnxTensor[], got: readonly OnnxTensor[]): string | undefined {
  const tensors = new Map(got.map((tensor) => [tensor.name, tensor]));
  const wanted = new Set(expected.map(({ name }) => name));
  if (tensors.size !== got.length) return "a constant is there twice";
  for (const { name, type, dims, bytes } of expected) {
    const tensor = tensors.get(name);
    if (!tensor) return `constant "${name}" is missing`;
    if (tensor.type !== type || String(tensor.dims) !== String(dims))
      return `constant "${name}" is ${tensor.type} [${tensor.dims}], expected ${type} [${dims}]`;
    const made = bytes instanceof Uint8Array ? bytes : undefined;
    if (made && String(made) !== String(tensor.bytes)) return `constant "${name}" has other numbers`;
  }
  const more = got.find(({ name }) => !wanted.has(name));
  return more && `constant "${more.name}" is one too many`;
}

function differenceOfEnds(what: string, expected: OnnxGraph["inputs"], got: OnnxGraph["inputs"]): string | undefined {
  const text = (values: OnnxGraph["inputs"]) =>
    values.map(({ name, type, dims }) => `${name}: ${type} [${dims}]`).join(", ");
  return text(expected) === text(got) ? undefined : `its ${what}s are ${text(got)}; expected ${text(expected)}`;
}

/** Graphs within, of a Scan, are compared as a whole. */
function textOfNode({ name, op, domain, inputs, outputs, attributes }: OnnxNode): string {
  const settings = [...attributes].sort(([a], [b]) => (a < b ? -1 : 1));
  const values = settings.map(([key, value]) => [key, "g" in value ? textOfGraph(value.g) : value]);
  return JSON.stringify([name, op, domain, inputs, outputs, values]);
}

function textOfGraph({ name, nodes, initializers, inputs, outputs }: OnnxGraph): string {
  const constants = initializers.map((tensor) => [tensor.name, tensor.type, tensor.dims, String(tensor.bytes)]);
  return JSON.stringify([name, nodes.map(textOfNode), constants, inputs, outputs]);
}

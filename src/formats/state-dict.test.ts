import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatesieveError } from "../core/check.ts";
import { fitStateDict, parseRename } from "./state-dict.ts";

/** "rnn.weight_ih_l0 4x3" */
const stateDict = (...lines: string[]) =>
  new Map(
    lines.map((line) => {
      const [name = "", shape = ""] = line.split(" ");
      return [name, { shape: shape === "" ? [] : shape.split("x").map(Number) }] as const;
    }),
  );
const layer = (prefix: string, gates: number, inputs: number, hidden: number, suffix = "_l0") => [
  `${prefix}weight_ih${suffix} ${gates * hidden}x${inputs}`,
  `${prefix}weight_hh${suffix} ${gates * hidden}x${hidden}`,
  `${prefix}bias_ih${suffix} ${gates * hidden}`,
  `${prefix}bias_hh${suffix} ${gates * hidden}`,
];
const fit = (lines: readonly string[], ...renames: string[]) =>
  fitStateDict(stateDict(...lines), "file", renames.map(parseRename));

describe("a state dict", () => {
  test("of PyTorch's language model finds its places, and says so", () => {
    const { net, names, notes } = fit([
      "encoder.weight 11x6",
      ...layer("rnn.", 4, 6, 5),
      ...layer("rnn.", 4, 5, 5, "_l1"),
      "decoder.weight 11x5",
      "decoder.bias 11",
    ]);
    expect(net).toEqual({
      cell: "lstm",
      numLayers: 2,
      hiddenSize: 5,
      bidirectional: false,
      embedding: 6,
      inputSize: 6,
      outputSize: 11,
    });
    expect(names.get("embedding.weight")).toBe("encoder.weight");
    expect(names.get("lstm.bias_hh_l1")).toBe("rnn.bias_hh_l1");
    expect(names.get("head.bias")).toBe("decoder.bias");
    expect(names.size).toBe(11);
    expect(notes).toEqual(['"rnn." is the lstm', '"encoder." is the embedding', '"decoder." is the head']);
  });

  test("of our own names needs no note; a bare nn.LSTM has none of the rest", () => {
    expect(fit([...layer("lstm.", 4, 3, 3), "head.weight 2x3", "head.bias 2"]).notes).toEqual([]);
    const { net, names } = fit(layer("", 4, 3, 2));
    expect(net).toMatchObject({ cell: "lstm", embedding: 0, inputSize: 3, outputSize: undefined });
    expect(names.size).toBe(4);
  });

  test("gru, rnn, both directions, by shape alone", () => {
    const both = fit([...layer("m.", 3, 7, 4), ...layer("m.", 3, 7, 4, "_l0_reverse"), "fc.weight 2x8", "fc.bias 2"]);
    expect(both.net).toMatchObject({ cell: "gru", bidirectional: true, outputSize: 2 });
    expect(both.names.get("gru.weight_hh_l0_reverse")).toBe("m.weight_hh_l0_reverse");
    expect(fit(layer("", 1, 7, 4)).net.cell).toBe("rnn");
  });

  test("without biases, with a shared matrix, with a head named like one", () => {
    const bare = fit(["emb.weight 9x4", ...layer("l.", 4, 4, 4).slice(0, 2), "fc.weight 9x4"]);
    expect(bare.names.get("lstm.bias_ih_l0")).toBeUndefined();
    expect(bare.names.get("head.weight")).toBe("fc.weight");
    expect(bare.notes).toContain("the head has no bias; zeros are the same function");
    const tied = fit(["encoder.weight 9x4", ...layer("l.", 4, 4, 4), "decoder.bias 9"]);
    expect(tied.names.get("head.weight")).toBe("encoder.weight");
    expect(tied.names.get("head.bias")).toBe("decoder.bias");
  });

  test("renamings settle what shapes cannot", () => {
    const lines = [...layer("a.", 4, 3, 2), ...layer("b.", 4, 2, 2), "x.weight 3x2", "x.bias 3", "y.weight 3x2"];
    const renames = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((kind) => `b.${kind}_l0=a.${kind}_l1`);
    expect(() => fit(lines)).toThrow(/2 recurrent modules \("a\.", "b\."\), expected one/);
    expect(() => fit(lines, ...renames)).toThrow(/"x.weight", "y.weight" could each be the head/);
    expect(() => fit(lines, ...renames, "x.=head.")).toThrow(/"y.weight": no place for it/);
    const { net, names } = fit(lines.slice(0, -1), ...renames);
    expect(net).toMatchObject({ numLayers: 2, outputSize: 3 });
    expect(names.get("lstm.weight_ih_l1")).toBe("b.weight_ih_l0");
    expect(() => fit(lines, "z=q")).toThrow(/no parameter begins with "z"/);
    expect(() => fit(lines, "b.=a.")).toThrow(/would both be/);
    expect(() => parseRename("x")).toThrow(/write THEIRS=OURS/);
  });

  test.each<[string, string[], RegExp]>([
    ["nothing recurrent", ["fc.weight 2x2"], /no recurrent layer: expected parameters such as .* got "fc.weight"/],
    ["a missing bias", layer("r.", 4, 3, 2).slice(0, 3), /"r.bias_hh_l0" missing/],
    ["a layer left out", [...layer("r.", 4, 3, 2), ...layer("r.", 4, 2, 2, "_l2")], /"r.weight_ih_l1".* missing/],
    ["half a direction", [...layer("r.", 4, 3, 2), "r.weight_ih_l0_reverse 8x3"], /"r.weight_hh_l0_reverse"/],
    ["a projection", [...layer("r.", 4, 3, 2), "r.weight_hr_l0 1x2"], /"r.weight_hr_l0": no place for it/],
    ["five gates", layer("r.", 5, 3, 2), /shape \[10,2\], expected \[4H, H\]/],
    ["no hidden matrix", layer("r.", 4, 3, 2).slice(0, 1), /"r.weight_hh_l0" is missing/],
    ["no dimension", ["weight_hh_l0 ", "weight_ih_l0 "], /shape \[\]/],
  ])("%s is refused, by name", (_, lines, message) => {
    expect(() => fit(lines)).toThrow(GatesieveError);
    expect(() => fit(lines)).toThrow(message);
  });

  test("any names and shapes end in a net or in an error of ours", () => {
    const name = fc.constantFrom(
      ...["r.", ""].flatMap((module) =>
        ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "weight_hh_l999", "bias_hh_l1_reverse", "weight", "bias"].map(
          (kind) => module + kind,
        ),
      ),
      "head.weight",
      "embedding.weight",
    );
    const entries = fc.array(fc.tuple(name, fc.array(fc.nat(4), { maxLength: 3 })), { maxLength: 8 });
    fc.assert(
      fc.property(entries, (pairs) => {
        try {
          const { net } = fitStateDict(new Map(pairs.map(([key, shape]) => [key, { shape }])), "file");
          expect(net.hiddenSize).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof GatesieveError)) throw error;
        }
      }),
    );
  });
});

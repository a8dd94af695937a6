import { expect, test } from "vitest";
import { LayerNorm } from "./layer-norm.ts";
import { filledModule, slopeErrors } from "./testing.ts";

test("gradients against slopes, float64", () => {
  const filled = filledModule((planner) => new LayerNorm(planner, "norm", 6), { T: 4, B: 3, width: 6 });
  const errors = slopeErrors(filled);
  expect(Object.keys(errors)).toEqual(["x", "norm.weight", "norm.bias"]);
  for (const [name, error] of Object.entries(errors)) expect(error, name).toBeLessThan(1e-7);
});

// import torch; ln = torch.nn.LayerNorm(4).double(); weight, bias, x, c as below; y = ln(x); (y * c).sum().backward()
// PyTorch 1.13. The second row is constant: its variance is 0, and eps all that r is made of.
test("PyTorch's numbers", () => {
  const { module, x, dy, pass } = filledModule((planner) => new LayerNorm(planner, "norm", 4), {
    T: 3,
    B: 1,
    width: 4,
  });
  const [weight, bias] = module.parameters as [(typeof module.parameters)[0], (typeof module.parameters)[0]];
  weight.value.data.set([1, -0.5, 2, 0.25]);
  bias.value.data.set([0, 1, -1, 0.5]);
  x.tensor.data.set([1, 2, 4, -3, 0.5, 0.5, 0.5, 0.5, -2, 8, 1, 0]);
  dy.tensor.data.set([1, 2, 3, 4, -1, 0, 1, 2, 0.5, 0.25, -2, 1]);
  const close = (actual: ArrayLike<number>, expected: readonly number[]) => {
    for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 10);
  };
  close(
    module.forward(x, pass).tensor.data,
    [0, 0.8038840157202073, 1.3533918113575116, 0.1077680314404148, 0, 1, -1, 0.5].concat([
      -0.9955846165331945, 0.17034615288900457, -1.3982338466132778, 0.38384846140446066,
    ]),
  );
  close(
    module.backward(dy, pass)!.tensor.data,
    [-0.294173976419689, -1.2747535961022174, 1.0786388186881635, 0.49028875383374304].concat([
      -434.8131782731521, -118.58541225631421, 513.8701197773617, 39.52847075210474, 0.3551064671738072,
      0.19356152997539688, -0.8382793229988896, 0.28961132584968535,
    ]),
  );
  close(weight.gradient.data, [-0.49779230826659715, 1.1992908606746684, 3.928321563649545, -6.740317651335521]);
  close(bias.gradient.data, [0.5, 2.25, 2, 7]);
});

"""Steps of gatesieve.LSTM or GRU on numbers from standard input, for test/pytorch.test.ts: JSON in, JSON out."""

import json
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import gatesieve

given = json.load(sys.stdin)
T, B, I, H = (given[name] for name in "TBIH")
layer = getattr(gatesieve, given["cell"].upper())(I, H, policy=given["policy"], seed=given["seed"], threads=1)
with torch.no_grad():
    for name, parameter in layer.named_parameters():
        parameter.copy_(torch.tensor(given["weights"][name]).view(parameter.shape))
steps = []
for dy in given["dy"]:
    x = torch.tensor(given["x"]).view(T, B, I).requires_grad_()
    y, ends = layer(x)
    c = [] if torch.is_tensor(ends) else ends[1].flatten().tolist()
    layer.zero_grad()
    y.backward(torch.tensor(dy).view(T, B, H))
    gradients = {name: parameter.grad.flatten().tolist() for name, parameter in layer.named_parameters()}
    (state,) = layer.policy_state_dict()["sites"].values()
    step = {"y": y.flatten().tolist(), "c": c, "dx": x.grad.flatten().tolist(), "tau": state["tau"]}
    steps.append(dict(step, gradients=gradients))
(site,) = layer.stats["layers"].values()
print(json.dumps({"steps": steps, "executed": site["macs_executed"], "skipped": site["macs_skipped"]}))

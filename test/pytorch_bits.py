"""Steps of gatesieve.LSTM on numbers from standard input, for test/pytorch.test.ts: JSON in, JSON out."""

import json
import os
import sys

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import gatesieve

given = json.load(sys.stdin)
T, B, I, H = (given[name] for name in "TBIH")
lstm = gatesieve.LSTM(I, H, policy=given["policy"], seed=given["seed"], threads=1)
with torch.no_grad():
    for name, parameter in lstm.named_parameters():
        parameter.copy_(torch.tensor(given["weights"][name]).view(parameter.shape))
steps = []
for dy in given["dy"]:
    x = torch.tensor(given["x"]).view(T, B, I).requires_grad_()
    y, (_, c) = lstm(x)
    lstm.zero_grad()
    y.backward(torch.tensor(dy).view(T, B, H))
    gradients = {name: parameter.grad.flatten().tolist() for name, parameter in lstm.named_parameters()}
    (state,) = lstm.policy_state_dict()["sites"].values()
    step = {"y": y.flatten().tolist(), "c": c.flatten().tolist(), "dx": x.grad.flatten().tolist(), "tau": state["tau"]}
    steps.append(dict(step, gradients=gradients))
(site,) = lstm.stats["layers"].values()
print(json.dumps({"steps": steps, "executed": site["macs_executed"], "skipped": site["macs_skipped"]}))

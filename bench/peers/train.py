"""PyTorch's side of the race: the same training as `gatesieve train`, of tokens, weights and settings handed over.

Usage: train.py FOLDER. FOLDER holds settings.json {T, B, layers, H, vocabulary, learningRate, maxSteps, validEvery,
gradientClipVal, threads, mkldnn}, train.i32 and valid.i32 (tokens) and weights.json (name -> shape) with one
NAME.f32 each. Prints a line of JSON {step, seconds, loss} at each validation; seconds are of training alone.
"""

import json
import sys
import time
from pathlib import Path

import torch

folder = Path(sys.argv[1])
s = json.loads((folder / "settings.json").read_text())
T, B, H, layers = s["T"], s["B"], s["H"], s["layers"]


def numbers(name, dtype):
    return torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=dtype)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        shapes = json.loads((folder / "weights.json").read_text())
        self.embedding = torch.nn.Embedding(*shapes["embedding.weight"])
        self.lstm = torch.nn.LSTM(shapes["embedding.weight"][1], H, layers)
        self.head = torch.nn.Linear(H, s["vocabulary"])
        self.load_state_dict({name: numbers(f"{name}.f32", torch.float32).reshape(shape) for name, shape in shapes.items()})

    def forward(self, x, states):
        y, states = self.lstm(self.embedding(x), states)
        return self.head(y.reshape(-1, H)), states


def windows(name, lanes):
    """Batches of a sequence cut into lanes; states flow from a lane's window to its next. As tasks/batches.ts."""
    sequence = numbers(name, torch.int32).long()
    lane = (len(sequence) - 1) // lanes
    for at in range(lane // T):
        index = (torch.arange(lanes) * lane + at * T)[None, :] + torch.arange(T)[:, None]
        yield sequence[index], sequence[index + 1].reshape(-1)


def zero(lanes):
    return tuple(torch.zeros(layers, lanes, H) for _ in range(2))


def valid_loss(net):
    lanes = min(B, (len(numbers("valid.i32", torch.int32)) - 1) // T)
    states, total, count = zero(lanes), 0.0, 0
    with torch.no_grad():
        for x, targets in windows("valid.i32", lanes):
            logits, states = net(x, states)
            total += torch.nn.functional.cross_entropy(logits, targets, reduction="sum").item()
            count += len(targets)
    return total / count


def main():
    torch.set_num_threads(s["threads"])
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=s["learningRate"])
    step, seconds = 0, 0.0
    while step < s["maxSteps"]:
        states = zero(B)
        for x, targets in windows("train.i32", B):
            began = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = s["learningRate"] * (1 - step / s["maxSteps"])
            optimizer.zero_grad(set_to_none=False)
            logits, ended = net(x, states)
            torch.nn.functional.cross_entropy(logits, targets).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), s["gradientClipVal"])
            optimizer.step()
            states = tuple(state.detach() for state in ended)
            seconds += time.perf_counter() - began
            step += 1
            if step % s["validEvery"] == 0 or step == s["maxSteps"]:
                print(json.dumps({"step": step, "seconds": seconds, "loss": valid_loss(net)}), flush=True)
            if step == s["maxSteps"]:
                break


with torch.backends.mkldnn.flags(enabled=s["mkldnn"]):
    main()

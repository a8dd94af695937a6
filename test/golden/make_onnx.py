"""ONNX files of others, with what they compute: /usr/bin/python3 test/golden/make_onnx.py

onnx/pytorch-*.onnx: models exported by torch.onnx (PyTorch 1.13), of which one is read batch first and one says its
class at the last position. onnx/pytorch.json: their outputs, by PyTorch in float64.
onnx/conformance.json: ONNX' own test cases of recurrent operators, from Debian's package libonnx-testdata 1.12: model,
inputs and outputs as they are in its files, in base64.
"""
import base64
import glob
import json
import os
import warnings

import torch
from torch import nn

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "onnx")
CASES = "/usr/share/libonnx-testdata/data/node"
V, E, H, L, T, B = 11, 4, 5, 2, 6, 3


class Net(nn.Module):
    def __init__(self, cell, layers=L, both=False, last=False, batch_first=False):
        super().__init__()
        self.last, self.both, self.batch_first = last, both, batch_first
        self.encoder = nn.Embedding(V, E)
        self.rnn = getattr(nn, cell)(E, H, layers, bidirectional=both, batch_first=batch_first)
        self.decoder = nn.Linear(H * (2 if both else 1), V)

    def forward(self, tokens):
        y, states = self.rnn(self.encoder(tokens))
        if self.last:
            h = states[0] if isinstance(states, tuple) else states
            y = torch.cat((h[-2], h[-1]), 1) if self.both else y[-1]
        return self.decoder(y)


def export(name, cell, **options):
    torch.manual_seed(len(name))
    net = Net(cell, **options).eval()
    batch_first = options.get("batch_first", False)
    tokens = torch.randint(0, V, (B, T) if batch_first else (T, B), generator=torch.Generator().manual_seed(1))
    axes = {0: "B", 1: "T"} if batch_first else {0: "T", 1: "B"}
    path = os.path.join(HERE, f"pytorch-{name}.onnx")
    torch.onnx.export(net, (tokens,), path, input_names=["tokens"], output_names=["logits"], dynamic_axes={"tokens": axes}, opset_version=14)
    time_major = tokens.t() if batch_first else tokens
    logits = net.double()(tokens)
    if batch_first and not options.get("last"):
        logits = logits.transpose(0, 1)
    return {"tokens": time_major.flatten().tolist(), "logits": logits.flatten().tolist(), "batchFirst": batch_first}


def read(path):
    with open(path, "rb") as file:
        return base64.b64encode(file.read()).decode()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    os.makedirs(HERE, exist_ok=True)
    models = {
        "T": T,
        "B": B,
        "lstm": export("lstm", "LSTM"),
        "gru-both": export("gru-both", "GRU", both=True),
        "rnn-first": export("rnn-first", "RNN", batch_first=True),
        "lstm-last": export("lstm-last", "LSTM", layers=1, last=True),
        "gru-both-last": export("gru-both-last", "GRU", both=True, last=True),
    }
    with open(os.path.join(HERE, "pytorch.json"), "w") as file:
        json.dump(models, file, separators=(",", ":"))
        file.write("\n")
    cases = {}
    for folder in sorted(glob.glob(f"{CASES}/test_lstm*") + glob.glob(f"{CASES}/test_gru*") + glob.glob(f"{CASES}/test_*rnn*")):
        data = os.path.join(folder, "test_data_set_0")
        names = sorted(os.listdir(data), key=lambda name: (name.split("_")[0], int(name.split("_")[1].split(".")[0])))
        cases[os.path.basename(folder)[5:]] = {
            "model": read(os.path.join(folder, "model.onnx")),
            "inputs": [read(os.path.join(data, name)) for name in names if name.startswith("input")],
            "outputs": [read(os.path.join(data, name)) for name in names if name.startswith("output")],
        }
    with open(os.path.join(HERE, "conformance.json"), "w") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")

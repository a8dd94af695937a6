"""Models as PyTorch's users save them, and what PyTorch says they compute: /usr/bin/python3 test/golden/make_pytorch_models.py

Names are those of PyTorch's word language model example (encoder, rnn, decoder). Outputs are computed in float64
from the numbers in the file. The safetensors files are written here: Debian has no package of that name.
"""
import json
import os

import torch
from torch import nn

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pytorch")
V, E, H, L, T, B = 11, 6, 5, 2, 7, 3
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16"}


def save_file(state, path):
    header, parts, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in state.items():
        raw = tensor.contiguous().view(torch.int16 if tensor.element_size() == 2 else tensor.dtype).numpy().tobytes()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(parts))


class Net(nn.Module):
    def __init__(self, cell, bidirectional=False, tied=False):
        super().__init__()
        width = H * (2 if bidirectional else 1)
        self.encoder = nn.Embedding(V, width if tied else E)
        self.rnn = getattr(nn, cell)(width if tied else E, H, L, bidirectional=bidirectional)
        self.decoder = nn.Linear(width, V)
        if tied:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens):
        return self.decoder(self.rnn(self.encoder(tokens))[0])


def make(name, cell, dtype=torch.float32, **options):
    torch.manual_seed(len(name))
    net = Net(cell, **options).to(dtype)
    state = {key: value.detach() for key, value in net.state_dict().items()}
    if options.get("tied"):
        del state["decoder.weight"]
    save_file(state, os.path.join(FOLDER, name + ".safetensors"))
    tokens = torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(1))
    logits = net.double()(tokens)
    return {"tokens": tokens.flatten().tolist(), "logits": logits.flatten().tolist()}


if __name__ == "__main__":
    os.makedirs(FOLDER, exist_ok=True)
    outputs = {
        "T": T,
        "B": B,
        "lstm": make("lstm", "LSTM"),
        "lstm-f64": make("lstm-f64", "LSTM", torch.float64),
        "lstm-f16": make("lstm-f16", "LSTM", torch.float16),
        "lstm-bf16": make("lstm-bf16", "LSTM", torch.bfloat16),
        "lstm-tied": make("lstm-tied", "LSTM", tied=True),
        "lstm-both": make("lstm-both", "LSTM", bidirectional=True),
        "gru": make("gru", "GRU"),
        "gru-both": make("gru-both", "GRU", bidirectional=True),
        "rnn": make("rnn", "RNN"),
    }
    with open(os.path.join(FOLDER, "outputs.json"), "w") as file:
        json.dump(outputs, file, separators=(",", ":"))
        file.write("\n")

"""PyTorch's side: the same full step with torch.nn's layers, driven by lines of JSON like worker.mjs.

Usage: step.py WORKLOAD_JSON OPTIONS_JSON, options {threads, seed, mkldnn, warmSteps, warmMs}.
"""

import json
import re
import sys
import time

import torch

CLIP = 5.0
LEARNING_RATE = 0.1


def peak_rss_mib():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def blas():
    """Which BLAS the process has loaded: the reference one is ten times slower."""
    maps = open("/proc/self/maps").read()
    found = re.search(r"/lib(openblas|mkl_rt|blis|atlas)", maps)
    return found.group(1) if found else "reference-blas"


class Net(torch.nn.Module):
    def __init__(self, w):
        super().__init__()
        source = w["input"]
        self.one_hot = source.get("oneHot")
        self.table = torch.nn.Embedding(source["tokens"], source["embedding"]) if "embedding" in source else None
        width = self.one_hot or source.get("embedding") or source["features"]
        layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "rnn": torch.nn.RNN}[w.get("cell", "lstm")]
        both = w.get("bidirectional", False)
        self.norms = None
        if w.get("net", {}).get("layerNorm"):
            # A layer at a time, for what stands between them.
            self.recurrent = torch.nn.ModuleList(layer(width if i == 0 else w["H"], w["H"]) for i in range(w["layers"]))
            self.norms = torch.nn.ModuleList(torch.nn.LayerNorm(w["H"]) for _ in range(w["layers"]))
        else:
            self.recurrent = layer(width, w["H"], w["layers"], bidirectional=both)
        self.head = torch.nn.Linear(w["H"] * (2 if both else 1), w["V"])
        self.last = w["positions"] == "last"

    def forward(self, x, states):
        if self.table is not None:
            x = self.table(x)
        elif self.one_hot:
            x = torch.nn.functional.one_hot(x, self.one_hot).float()
        if self.norms is None:
            y, states = self.recurrent(x, states)
        else:
            y, ended = x, []
            for i, (layer, norm) in enumerate(zip(self.recurrent, self.norms)):
                y, state = layer(y, tuple(s[i : i + 1] for s in states))
                y = norm(y)
                ended.append(state)
            states = tuple(torch.cat(part) for part in zip(*ended))
        y = y[-1] if self.last else y.reshape(-1, y.shape[2])
        return self.head(y), states


class Transformer(torch.nn.Module):
    """torch.nn.TransformerEncoder under a causal mask, norms first."""

    def __init__(self, w):
        super().__init__()
        net, source = w["net"], w["input"]
        self.table = torch.nn.Embedding(source["tokens"], source["embedding"])
        self.positions = torch.nn.Embedding(w["T"], w["H"])
        layer = torch.nn.TransformerEncoderLayer(
            w["H"], net["numHeads"], 4 * w["H"], dropout=0, activation=net["activation"], norm_first=True
        )
        self.blocks = torch.nn.TransformerEncoder(layer, w["layers"], torch.nn.LayerNorm(w["H"]))
        self.head = torch.nn.Linear(w["H"], w["V"])
        self.register_buffer("mask", torch.nn.Transformer.generate_square_subsequent_mask(w["T"]))

    def forward(self, x, states):
        y = self.table(x) + self.positions.weight[:, None]
        y = self.blocks(y, self.mask)
        return self.head(y.reshape(-1, y.shape[2])), states


def main():
    w = json.loads(sys.argv[1])
    options = json.loads(sys.argv[2])
    torch.set_num_threads(options["threads"])
    torch.manual_seed(options["seed"])
    T, B, V, H = w["T"], w["B"], w["V"], w["H"]
    source = w["input"]
    net = Transformer(w) if w.get("net", {}).get("net") == "transformer" else Net(w)
    optimizer = torch.optim.SGD(net.parameters(), lr=LEARNING_RATE)
    positions = B if w["positions"] == "last" else T * B
    batches = []
    for _ in range(8):
        if "features" in source:
            x = torch.randn(T, B, source["features"])
        else:
            x = torch.randint(source.get("oneHot") or source["tokens"], (T, B))
        batches.append((x, torch.randint(V, (positions,))))
    layers = w["layers"] * (2 if w.get("bidirectional") else 1)
    alone = w.get("cell") in ("gru", "rnn")  # h is the only state
    zero = lambda: torch.zeros(layers, B, H) if alone else tuple(torch.zeros(layers, B, H) for _ in range(2))
    states = zero()
    at = 0

    def step():
        nonlocal states, at
        x, targets = batches[at]
        at = (at + 1) % len(batches)
        optimizer.zero_grad(set_to_none=False)
        logits, ended = net(x, states)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()
        if not w["carried"]:
            states = zero()
        else:
            states = ended.detach() if alone else tuple(s.detach() for s in ended)
        return loss.item()

    def timed():
        cpu = time.process_time()
        began = time.perf_counter()
        loss = step()
        ms = (time.perf_counter() - began) * 1000
        return {"ms": ms, "cpuMs": (time.process_time() - cpu) * 1000, "loss": loss}

    def answer(value):
        print(json.dumps(value), flush=True)

    with torch.backends.mkldnn.flags(enabled=options["mkldnn"]):
        until = time.perf_counter() + options["warmMs"] / 1000
        warm = [timed()]
        while len(warm) < options["warmSteps"] or time.perf_counter() < until:
            warm.append(timed())
        capability = re.search(r"CPU capability usage: (\w+)", torch.__config__.show())
        answer(
            {
                "tool": "pytorch",
                "version": torch.__version__,
                "engine": blas() + ("+mkldnn" if options["mkldnn"] else ""),
                "isa": capability.group(1).lower() if capability else None,
                "threads": torch.get_num_threads(),
                "warmMs": warm[-1]["ms"],
            }
        )
        for line in sys.stdin:
            steps = json.loads(line)["steps"]
            timed()  # the round before this one was another process's
            samples = [timed() for _ in range(steps)]
            answer(
                {
                    "samples": samples,
                    "loss": samples[-1]["loss"],
                    "rssMiB": peak_rss_mib(),
                }
            )


main()

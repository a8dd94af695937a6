"""Golden numbers from PyTorch, in float64, for test/golden/golden.test.ts.

    /usr/bin/python3 test/golden/make_goldens.py            # writes test/golden/*.json
    /usr/bin/python3 test/golden/make_goldens.py mlp        # one of them

Deterministic: numpy's legacy RandomState (a frozen stream) draws everything, one thread computes.
Whatever is drawn is a multiple of 2^-12, so it is exact in float32 too and short in decimal.
Sequences are time-major: inputs and targets of a language model are (T, B), features (T, B, I).
"""

import json
import pathlib
import sys

import numpy as np
import torch
from torch import nn

T, STEPS = 9, 10
GRID = 4096
HERE = pathlib.Path(__file__).resolve().parent

CASES = [
    # One-hot input: the LSTM's first input product is a look-up.
    dict(name="lm1", seed=1, input="onehot", vocabulary=11, hidden=8, layers=1, batch=4),
    dict(name="lm3", seed=2, input="embedding", vocabulary=13, embedding=6, hidden=7, layers=3, batch=4),
    # Numbers in, one number out at the last position; states start at zero in every batch.
    dict(name="adding", seed=3, input="features", features=2, hidden=6, layers=1, batch=5),
    # Other cells, stacked; of lanes of different length, packed.
    dict(name="gru", seed=4, cell="gru", input="embedding", vocabulary=11, embedding=6, hidden=7, layers=2, batch=4),
    dict(name="rnn", seed=5, cell="rnn", input="embedding", vocabulary=11, embedding=6, hidden=7, layers=2, batch=4),
    dict(name="lstm-lengths", seed=6, input="onehot", vocabulary=9, hidden=6, layers=2, batch=5, lengths=[9, 2, 5, 1, 7]),
    dict(name="gru-lengths", seed=7, cell="gru", input="onehot", vocabulary=9, hidden=6, layers=2, batch=5,
         lengths=[9, 2, 5, 1, 7]),
    dict(name="rnn-lengths", seed=8, cell="rnn", input="features", features=2, hidden=6, layers=2, batch=5,
         lengths=[9, 2, 5, 1, 7]),
    # Both directions, each from a sequence's own end, from states of their own.
    dict(name="lstm-bidirectional", seed=9, input="embedding", vocabulary=9, embedding=4, hidden=5, layers=2, batch=5,
         bidirectional=True, lengths=[9, 2, 5, 1, 7]),
    dict(name="gru-bidirectional", seed=10, cell="gru", input="features", features=2, hidden=5, layers=2, batch=5,
         bidirectional=True, lengths=[9, 2, 5, 1, 7]),
    # Nets without recurrence: nothing is carried. A key's bias shifts all scores of a query alike, so its gradient is zero
    # but for rounding, which Adam and RMSprop would make steps of: transformers take plain steps.
    dict(name="mlp", seed=11, net="mlp", input="embedding", vocabulary=11, embedding=5, hidden=6, layers=2, batch=4),
    dict(name="transformer", seed=12, net="transformer", input="embedding", vocabulary=9, embedding=6, hidden=6, layers=2,
         heads=2, feedforward=8, activation="gelu", batch=3, runs="sgd"),
    dict(name="transformer-lengths", seed=13, net="transformer", input="features", features=2, hidden=6, layers=1, heads=3,
         feedforward=7, activation="relu", batch=5, lengths=[9, 2, 5, 1, 7], runs="sgd"),
    # Layers that add to what they read, and layer norm of what the next layer or the head reads.
    dict(name="lstm-residual-norm", seed=11, input="embedding", vocabulary=11, embedding=6, hidden=7, layers=3, batch=4,
         residual=True, layerNorm=True),
    dict(name="gru-norm", seed=12, cell="gru", input="onehot", vocabulary=9, hidden=6, layers=2, batch=4, layerNorm=True),
    # An encoder, and a decoder that begins with its last states and attends to its outputs (Luong et al. 2015).
    dict(name="encoder-decoder", seed=14, input="embedding", vocabulary=9, embedding=4, hidden=6, layers=2, batch=5,
         bidirectional=True, lengths=[9, 2, 5, 1, 7], attention="general",
         source=dict(vocabulary=8, embedding=3, length=7, lengths=[3, 7, 1, 6, 4])),
    dict(name="encoder-decoder-dot", seed=15, cell="gru", input="embedding", vocabulary=7, embedding=4, hidden=5, layers=1,
         batch=3, attention="dot", source=dict(vocabulary=6, embedding=3, length=5, lengths=[5, 5, 5])),
]
LAYERS = dict(lstm=nn.LSTM, gru=nn.GRU, rnn=nn.RNN)

RUNS = [
    dict(name="sgd", optimizer="sgd", learningRate=0.5, momentum=0.0, clip=5.0),
    dict(name="sgd-clipped", optimizer="sgd", learningRate=0.5, momentum=0.0, clip=0.25),
    dict(name="momentum-clipped", optimizer="sgd", learningRate=0.5, momentum=0.9, clip=0.25),
    dict(name="adam", optimizer="adam", learningRate=2e-3, beta1=0.9, beta2=0.999, epsilon=1e-8, clip=5.0),
    dict(name="adamw-clipped", optimizer="adamw", learningRate=2e-3, beta1=0.9, beta2=0.999, epsilon=1e-8,
         weightDecay=0.01, clip=0.25),
    dict(name="rmsprop", optimizer="rmsprop", learningRate=2e-3, alpha=0.95, epsilon=1e-8, clip=5.0),
]


def make_optimizer(parameters, run):
    kind, lr = run["optimizer"], run["learningRate"]
    if kind == "sgd":
        return torch.optim.SGD(parameters, lr=lr, momentum=run["momentum"])
    if kind == "adam":
        return torch.optim.Adam(parameters, lr=lr, betas=(run["beta1"], run["beta2"]), eps=run["epsilon"])
    if kind == "adamw":
        return torch.optim.AdamW(parameters, lr=lr, betas=(run["beta1"], run["beta2"]), eps=run["epsilon"],
                                 weight_decay=run["weightDecay"])
    return torch.optim.RMSprop(parameters, lr=lr, alpha=run["alpha"], eps=run["epsilon"])


class MLP(nn.ModuleDict):
    def __init__(self, case, inputs):
        super().__init__({f"l{i}": nn.Linear(case["hidden"] if i else inputs, case["hidden"])
                          for i in range(case["layers"])})

    def forward(self, x):
        for layer in self.values():
            x = layer(x).relu()
        return x


class Transformer(nn.Module):
    """torch.nn.TransformerEncoder over learned positions, under a causal mask."""

    def __init__(self, case, inputs):
        super().__init__()
        width = case["hidden"]
        if inputs != width:
            self.input = nn.Linear(inputs, width)
        self.positions = nn.Embedding(T, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, case["heads"], case["feedforward"], dropout=0, activation=case["activation"],
                                       norm_first=True) for _ in range(case["layers"]))
        self.norm = nn.LayerNorm(width)

    def forward(self, x):
        x = self.input(x) if hasattr(self, "input") else x
        x = x + self.positions.weight[:, None]
        mask = torch.full((T, T), float("-inf"), dtype=torch.float64).triu(1)
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


NETS = dict(mlp=MLP, transformer=Transformer)


class EncoderDecoder(nn.Module):
    """torch.nn's layers for both stacks; a bidirectional encoder has half of the width in each direction."""

    def __init__(self, case):
        super().__init__()
        self.case, source, width = case, case["source"], case["hidden"]
        self.cell = case.get("cell", "lstm")
        both = case.get("bidirectional", False)
        layer = LAYERS[self.cell]
        self.encoder = nn.ModuleDict({
            "embedding": nn.Embedding(source["vocabulary"], source["embedding"]),
            self.cell: layer(source["embedding"], width // 2 if both else width, case["layers"], bidirectional=both)})
        self.decoder = nn.ModuleDict({
            "embedding": nn.Embedding(case["vocabulary"], case["embedding"]),
            self.cell: layer(case["embedding"], width, case["layers"])})
        linear = dict(out=nn.Linear(2 * width, width, bias=False))
        if case["attention"] == "general":
            linear = {"in": nn.Linear(width, width, bias=False), **linear}
        self.attention = nn.ModuleDict(linear)
        self.head = nn.Linear(width, case["vocabulary"])

    def forward(self, x, states):
        x, source = x
        lengths = torch.tensor(self.case["source"]["lengths"])
        packed = nn.utils.rnn.pack_padded_sequence(self.encoder["embedding"](source), lengths, enforce_sorted=False)
        memory, last = self.encoder[self.cell](packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(memory, total_length=self.case["source"]["length"])
        layers, B = self.case["layers"], self.case["batch"]

        def beside(state):  # (layers * directions, B, width of one) to (layers, B, all)
            return state.reshape(layers, -1, B, state.shape[2]).transpose(1, 2).reshape(layers, B, -1).contiguous()

        last = tuple(beside(state) for state in last) if isinstance(last, tuple) else beside(last)
        h, _ = self.decoder[self.cell](self.decoder["embedding"](x), last)
        query = self.attention["in"](h) if "in" in self.attention else h
        scores = torch.einsum("tbw,sbw->bts", query, memory)
        past = torch.arange(scores.shape[2])[None, None] >= lengths[:, None, None]
        context = torch.einsum("bts,sbw->tbw", scores.masked_fill(past, float("-inf")).softmax(2), memory)
        return self.head(self.attention["out"](torch.cat([context, h], 2)).tanh()), ()

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=-1)


class Net(nn.Module):
    """Its parameters carry the names gatesieve's models use."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        if case["input"] == "embedding":
            self.embedding = nn.Embedding(case["vocabulary"], case["embedding"])
        inputs = {"onehot": "vocabulary", "embedding": "embedding", "features": "features"}[case["input"]]
        if "net" in case:
            setattr(self, case["net"], NETS[case["net"]](case, case[inputs]))
            self.head = nn.Linear(case["hidden"], case.get("vocabulary", 1))
            return
        self.cell = case.get("cell", "lstm")
        both = case.get("bidirectional", False)
        setattr(self, self.cell, LAYERS[self.cell](case[inputs], case["hidden"], case["layers"], bidirectional=both))
        if case.get("layerNorm"):
            self.norm = nn.ModuleDict({f"l{layer}": nn.LayerNorm(case["hidden"]) for layer in range(case["layers"])})
        self.head = nn.Linear(case["hidden"] * (2 if both else 1), case.get("vocabulary", 1))

    def forward(self, x, states):
        if self.case["input"] == "onehot":
            x = nn.functional.one_hot(x, self.case["vocabulary"]).double()
        elif self.case["input"] == "embedding":
            x = self.embedding(x)
        if "net" in self.case:
            h = getattr(self, self.case["net"])(x)
            if self.case["input"] == "features":
                h = h[torch.tensor(self.case["lengths"]) - 1, torch.arange(self.case["batch"])]
            return self.head(h), ()
        recurrent = getattr(self, self.cell)
        lengths = self.case.get("lengths")
        states = states if self.cell == "lstm" else states[0]
        if self.case.get("layerNorm"):
            h, states = self.by_layers(recurrent, x, states)
        elif lengths:
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
            h, states = recurrent(packed, states)
            h, _ = nn.utils.rnn.pad_packed_sequence(h, total_length=T)
        else:
            h, states = recurrent(x, states)
        if self.case["input"] == "features" and self.case.get("bidirectional"):
            last = states[0] if isinstance(states, tuple) else states
            h = torch.cat([last[-2], last[-1]], 1)  # where each direction ended
        elif self.case["input"] == "features":
            h = h[torch.tensor(lengths or [T] * self.case["batch"]) - 1, torch.arange(self.case["batch"])]
        return self.head(h), states if isinstance(states, tuple) else (states,)

    def by_layers(self, recurrent, x, states):
        """The layers of `recurrent` one by one, each with what lies between."""
        gru, ended, stream = self.cell == "gru", [], x
        for layer in range(self.case["layers"]):
            names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
            weights = [getattr(recurrent, f"{name}_l{layer}") for name in names]
            rest = (weights, True, 1, 0.0, False, False, False)
            if gru:
                y, last = torch._VF.gru(x, states[layer:layer + 1], *rest)
                ended.append((last,))
            else:
                y, *last = torch._VF.lstm(x, tuple(s[layer:layer + 1] for s in states), *rest)
                ended.append(last)
            stream = stream + y if self.case.get("residual") and layer > 0 else y
            x = self.norm[f"l{layer}"](stream)
        both = tuple(torch.cat(parts) for parts in zip(*ended))
        return x, both[0] if gru else both

    def loss(self, outputs, targets):
        if self.case["input"] == "features":
            return nn.functional.mse_loss(outputs, targets)
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten(), ignore_index=-1)


def draw(random, shape, scale):
    return torch.tensor(np.round(random.uniform(-scale, scale, shape) * GRID) / GRID)


def make_batches(case, random):
    B = case["batch"]
    if case["input"] == "features":  # the adding problem: a value, and a mark on two of the positions
        batches = []
        for _ in range(STEPS):
            values = torch.tensor(np.round(random.uniform(0, 1, (T, B)) * GRID) / GRID)
            marks = torch.zeros(T, B, dtype=torch.float64)
            for b in range(B):
                marks[torch.from_numpy(random.permutation(T)[:2].copy()), b] = 1
            batches.append((torch.stack([values, marks], 2), (values * marks).sum(0)[:, None]))
        return batches

    def padded(targets):
        for b, length in enumerate(case.get("lengths", [])):
            targets[length:, b] = -1
        return targets

    text = torch.from_numpy(random.randint(0, case["vocabulary"], (T * STEPS + 1, B)))  # B streams of tokens
    if "source" in case:
        source = case["source"]
        read = torch.from_numpy(random.randint(0, source["vocabulary"], (STEPS, source["length"], B)))
        return [((text[s * T:(s + 1) * T], read[s]), padded(text[s * T + 1:(s + 1) * T + 1].clone())) for s in range(STEPS)]
    return [(text[s * T:(s + 1) * T], padded(text[s * T + 1:(s + 1) * T + 1].clone())) for s in range(STEPS)]


def zeros(case):
    if "net" in case or "source" in case:
        return ()
    shape = (case["layers"] * (2 if case.get("bidirectional") else 1), case["batch"], case["hidden"])
    return tuple(torch.zeros(shape, dtype=torch.float64) for _ in range(2 if case.get("cell", "lstm") == "lstm" else 1))


def detach(states):
    return tuple(state.detach() for state in states)


def array(tensor):
    return {"shape": list(tensor.shape), "data": tensor.detach().flatten().tolist()}


def named_states(states):
    return {f"{letter}_{layer}": array(both[layer])
            for letter, both in zip("hc", states) for layer in range(len(both))}


def make_case(case):
    random = np.random.RandomState(case["seed"])
    net = (EncoderDecoder if "source" in case else Net)(case).double()
    initial = {name: draw(random, tuple(p.shape), 0.6) for name, p in net.named_parameters()}
    batches = make_batches(case, random)
    carried = case["input"] != "features"
    shape = tuple(zeros(case)[0].shape) if zeros(case) else ()
    drawn = (draw(random, shape, 0.8), draw(random, shape, 1.5))[:len(zeros(case))]
    start = drawn if carried else zeros(case)

    def reset():
        with torch.no_grad():
            for name, p in net.named_parameters():
                p.copy_(initial[name])
                p.grad = None

    # Two batches with the initial parameters, the second from the detached final states of the first.
    reset()
    passes, states = [], start
    for x, targets in batches[:2]:
        net.zero_grad()
        before = states
        outputs, states = net(x, before)
        loss = net.loss(outputs, targets)
        loss.backward()
        passes.append({
            "initialStates": named_states(before),
            "outputs": array(outputs),
            "finalStates": named_states(states),
            "loss": loss.item(),
            "gradients": {name: array(p.grad) for name, p in net.named_parameters()},
        })
        states = detach(states) if carried else zeros(case)

    # Ten steps of each optimizer, one batch a step, from states of zero.
    runs = []
    for run in RUNS:
        if not run["optimizer"].startswith(case.get("runs", "")):
            continue
        reset()
        optimizer = make_optimizer(net.parameters(), run)
        states, losses, norms = zeros(case), [], []
        for x, targets in batches:
            optimizer.zero_grad()
            outputs, states = net(x, states)
            loss = net.loss(outputs, targets)
            loss.backward()
            norms.append(nn.utils.clip_grad_norm_(net.parameters(), run["clip"]).item())  # before clipping
            optimizer.step()
            losses.append(loss.item())
            states = detach(states) if carried else zeros(case)
        runs.append({**run, "losses": losses, "gradientNorms": norms,
                     "parameters": {name: array(p) for name, p in net.named_parameters()}})

    return {
        "case": case,
        "torch": torch.__version__,
        "parameters": {name: array(p) for name, p in initial.items()},
        "batches": [{"inputs": array(x[0]), "sources": array(x[1]), "targets": array(targets)} if "source" in case
                    else {"inputs": array(x), "targets": array(targets)} for x, targets in batches],
        "passes": passes,
        "runs": runs,
    }


def dump(value, indent=""):
    """JSON with one line per array; Python writes the shortest decimal that reads back to the same bits."""
    if isinstance(value, dict) and "data" not in value:
        items = [f'{indent} {json.dumps(key)}: {dump(item, indent + " ")}' for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{indent} {dump(item, indent + ' ')}" for item in value) + f"\n{indent}]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def main():
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, numpy {np.__version__}, python {sys.version.split()[0]}")
    for case in CASES:
        if len(sys.argv) > 1 and case["name"] not in sys.argv[1:]:
            continue
        golden = make_case(case)
        path = HERE / f"{case['name']}.json"
        path.write_text(dump(golden) + "\n")
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, loss {[p['loss'] for p in golden['passes']]}")
        for run in golden["runs"]:
            norms = run["gradientNorms"]
            print(f"  {run['name']}: loss {run['losses'][0]:.4f} to {run['losses'][-1]:.4f}, "
                  f"norm {min(norms):.3f} to {max(norms):.3f}, clip {run['clip']}")


if __name__ == "__main__":
    main()

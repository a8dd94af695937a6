"""PyTorch's own bf16, for docs/kernels.md: a full step of W2 or W4 (layers and head, clip 5, SGD) in float32, with
everything in bfloat16, and under autocast, one after the other in turns.

Usage: bf16.py W2|W4 [STEPS], with the environment of bench/step.mjs (PYTORCH_ENVIRONMENT, OMP_NUM_THREADS=1).
"""

import statistics
import sys
import time

import torch

SHAPES = {"W2": (65, None, 512, 65, 50, 50), "W4": (10000, 650, 650, 10000, 20, 35)}
vocabulary, embedding, H, V, B, T = SHAPES[sys.argv[1]]
steps = int(sys.argv[2]) if len(sys.argv) > 2 else 3
torch.set_num_threads(1)
torch.manual_seed(1)
x = torch.randint(vocabulary, (T, B))
targets = torch.randint(V, (T * B,))


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(vocabulary, embedding) if embedding else None
        self.layers = torch.nn.LSTM(embedding or vocabulary, H, 2)
        self.head = torch.nn.Linear(H, V)

    def forward(self, x):
        x = self.table(x) if self.table else torch.nn.functional.one_hot(x, vocabulary).to(self.head.weight.dtype)
        y, _ = self.layers(x)
        return self.head(y.reshape(T * B, H))


def stepper(kind):
    net = Net().bfloat16() if kind == "bfloat16" else Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad(set_to_none=False)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=kind == "autocast"):
            logits = net(x)
        torch.nn.functional.cross_entropy(logits.float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()

    return step


kinds = {kind: stepper(kind) for kind in ("float32", "bfloat16", "autocast")}
times = {kind: [] for kind in kinds}
for i in range(steps + 1):
    for kind, step in kinds.items():
        began = time.process_time()
        step()
        if i > 0:
            times[kind].append((time.process_time() - began) * 1000)
medians = ", ".join(f"{kind} {statistics.median(ms):.0f} ms" for kind, ms in times.items())
print(f"{sys.argv[1]}, PyTorch {torch.__version__} with oneDNN: {medians}")

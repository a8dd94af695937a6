"""A character model in plain PyTorch; one line makes it sparse: python3 python/example.py [dense|stochastic:0.98|torch]"""

import sys

import torch

import gatesieve

policy = sys.argv[1] if len(sys.argv) > 1 else gatesieve.DEFAULT_POLICY
text = "".join("%d squared is %d.\n" % (n, n * n) for n in range(1, 60)) * 20
letters = sorted(set(text))
data = torch.tensor([letters.index(letter) for letter in text])
lanes = data[: len(data) // 20 * 20].view(20, -1).t()  # (time, 20 lanes)

torch.manual_seed(1)
if policy == "torch":
    lstm = torch.nn.LSTM(len(letters), 128, 2)
else:
    lstm = gatesieve.LSTM(len(letters), 128, 2, policy=policy)
head = torch.nn.Linear(128, len(letters))
parameters = [*lstm.parameters(), *head.parameters()]
optimizer = torch.optim.Adam(parameters, lr=5e-3)

states = None
for step in range(101):
    at = step * 40 % (len(lanes) - 41)
    x = torch.nn.functional.one_hot(lanes[at : at + 40], len(letters)).float()
    y, states = lstm(x, states)
    states = tuple(state.detach() for state in states)
    loss = torch.nn.functional.cross_entropy(head(y).flatten(0, 1), lanes[at + 1 : at + 41].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 5)
    optimizer.step()
    if step % 25 == 0:
        print("step %3d  loss %.3f" % (step, loss.item()))
if policy != "torch":
    stats = lstm.stats
    print("dropped %.1f %%, backward multiply-accumulates skipped %.1f %%" % (100 * stats["dropped"], 100 * stats["macs_skipped_share"]))

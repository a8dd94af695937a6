"""A character model trained with gatesieve.LSTM, then timed with it and with torch.nn.LSTM in its place: one loop, one
process, the arms in turns. `npm run bench -- pytorch-layer` calls it; options as JSON, rows as JSON. What was trained lies
in a file for each length, and a longer training goes on from a shorter one; with "steps": 0 nothing is timed."""

import json
import os
import statistics
import sys
import time

import torch

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python"))
import gatesieve

T, B, H, LAYERS = 50, 50, 512, 2
CLIP = 5.0


def main():
    options = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    text = open(options["text"], encoding="utf8").read()
    letters = sorted(set(text))
    numbers = {letter: number for number, letter in enumerate(letters)}
    data = torch.tensor([numbers[letter] for letter in text])
    V = len(letters)
    lanes = data[: len(data) // B * B].view(B, -1).t().contiguous()  # (time, B)

    cell = options["cell"]

    class Arm:
        def __init__(self, policy, mkldnn=True):
            torch.manual_seed(1)
            self.policy, self.mkldnn = policy, mkldnn
            self.lstm = (
                getattr(torch.nn, cell)(V, H, LAYERS)
                if policy is None
                else getattr(gatesieve, cell)(V, H, LAYERS, policy=policy)
            )
            self.head = torch.nn.Linear(H, V)
            self.parameters = [*self.lstm.parameters(), *self.head.parameters()]
            self.optimizer = torch.optim.Adam(self.parameters, lr=2e-3)
            self.states, self.samples = None, []

        def resume(self, saved):
            self.lstm.load_state_dict(saved["lstm"])
            self.head.load_state_dict(saved["head"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.states = saved["states"]
            if self.policy == options["policy"]:
                self.lstm.load_policy_state_dict(saved["policy"])

        def step(self, number):
            with torch.backends.mkldnn.flags(enabled=self.mkldnn):
                return self.timed(number)

        def timed(self, number):
            began, spent[0] = time.perf_counter(), 0.0
            at = number * T % (len(lanes) - T - 1)
            x = torch.nn.functional.one_hot(lanes[at : at + T], V).float()
            y, states = self.lstm(x, self.states)
            self.states = states.detach() if torch.is_tensor(states) else tuple(state.detach() for state in states)
            loss = torch.nn.functional.cross_entropy(self.head(y).flatten(0, 1), lanes[at + 1 : at + T + 1].flatten())
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.parameters, CLIP)
            self.optimizer.step()
            return (time.perf_counter() - began) * 1000, spent[0] * 1000, loss.item()

    # What is spent in the library itself, and in the Python around it: the boundary is the difference.
    spent, around = [0.0], [0.0]

    def clocked(function, clock):
        def call(*args):
            began = time.perf_counter()
            result = function(*args)
            clock[0] += time.perf_counter() - began
            return result

        return call

    library = gatesieve._library
    for name in ("gatesieve_%s_%s" % (cell.lower(), way) for way in ("forward", "backward")):
        setattr(library, name, clocked(getattr(library, name), spent))
    ours = getattr(gatesieve, cell)
    ours.forward = clocked(ours.forward, around)
    ours._layer.backward = staticmethod(clocked(ours._layer.backward, around))

    def place(length):
        name = "%s-%s-%d.pt" % (cell.lower(), options["policy"].replace(":", "-"), length)
        return os.path.join(options["folder"], name)

    def train(length):
        """What a net trained for so many steps is: from its file, or trained on from the longest one there is."""
        if os.path.exists(place(length)):
            return torch.load(place(length))
        began, arm, losses = 0, Arm(options["policy"]), []
        for shorter in sorted(options["lengths"]):
            if shorter < length and os.path.exists(place(shorter)):
                saved = torch.load(place(shorter))
                began, losses = shorter, saved["losses"]
                arm.resume(saved)
        for number in range(began, length):
            losses.append(arm.step(number)[2])
            if (number + 1) % 100 == 0:
                print("%s: step %d, loss %.3f" % (cell, number + 1, losses[-1]), file=sys.stderr)
        saved = dict(
            lstm=arm.lstm.state_dict(), head=arm.head.state_dict(), optimizer=arm.optimizer.state_dict(),
            policy=arm.lstm.policy_state_dict(), states=arm.states, losses=losses,
        )
        os.makedirs(options["folder"], exist_ok=True)
        torch.save(saved, place(length) + ".part")
        os.replace(place(length) + ".part", place(length))
        return saved

    length = max(options["lengths"])
    saved = [train(length) for length in sorted(options["lengths"])][-1]
    if options["steps"] == 0:
        return
    arms = [Arm(options["policy"]), Arm("dense"), Arm(None), Arm(None, mkldnn=False)]
    for arm in arms:
        arm.resume(saved)
    trained, losses = arms[0], saved["losses"]
    boundary = []
    for number in range(options["steps"]):
        for arm in arms:
            arm.step(length + 2 * number)  # the step before was another arm's: caches
            around[0] = 0.0
            sample = arm.step(length + 2 * number + 1)
            arm.samples.append(sample)
            if arm is trained:
                boundary.append((around[0] * 1000 - sample[1]) / sample[0])
    stats = {key: value for key, value in trained.lstm.stats.items() if key != "layers"}
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "isa": os.environ.get("GATESIEVE_ISA") or gatesieve.isas()[0],
                "V": V,
                "cell": cell,
                "train": length,
                "steps": options["steps"],
                "trainedLoss": [losses[0], statistics.mean(losses[-20:])],
                "arms": [
                    {
                        "layer": ("torch.nn." if arm.policy is None else "gatesieve.") + cell,
                        "policy": arm.policy,
                        "mkldnn": arm.mkldnn if arm.policy is None else None,
                        "ms": statistics.median(ms for ms, _, _ in arm.samples),
                        "insideMs": statistics.median(inside for _, inside, _ in arm.samples),
                        "loss": statistics.mean(loss for _, _, loss in arm.samples),
                    }
                    for arm in arms
                ],
                "boundary": statistics.median(boundary),
                "stats": stats,
            }
        )
    )


main()

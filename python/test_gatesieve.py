"""gatesieve.LSTM and GRU beside torch.nn's: python3 python/test_gatesieve.py. test/pytorch.test.ts runs it where torch is."""

import copy
import io
import unittest

import torch

import gatesieve

SIZES = [
    dict(),
    dict(num_layers=3),
    dict(bias=False),
    dict(batch_first=True, num_layers=2),
    dict(bidirectional=True, num_layers=2),
    dict(num_layers=2, dropout=0.5),
]
I, H, T, B = 7, 33, 30, 12  # more rows than backward goes over at once


def pair(policy="dense", cell="LSTM", **options):
    torch.manual_seed(1)
    theirs = getattr(torch.nn, cell)(I, H, **options)
    torch.manual_seed(1)
    return theirs, getattr(gatesieve, cell)(I, H, policy=policy, **options)


def inputs(model, states=True):
    generator = torch.Generator().manual_seed(2)
    draw = lambda *shape: torch.randn(*shape, generator=generator).requires_grad_()
    x = draw(B, T, I) if model.batch_first else draw(T, B, I)
    layers = model.num_layers * (2 if model.bidirectional else 1)
    if not states:
        return x, None
    h0 = draw(layers, B, H)
    return x, h0 if isinstance(model, torch.nn.GRU) else (h0, draw(layers, B, H))


def run(model, x, hx):
    """Outputs, and gradients of everything, of a loss that reads y, h_n and c_n."""
    torch.manual_seed(3)  # dropout
    y, ends = model(x, hx)
    ends = [ends] if torch.is_tensor(ends) else list(ends)
    starts = [] if hx is None else [hx] if torch.is_tensor(hx) else list(hx)
    loss = (y * torch.arange(y.numel()).view(y.shape).sin()).mean() + sum((s**3 + s * s).mean() for s in ends)
    model.zero_grad()
    loss.backward()
    return [y, *ends, x.grad] + [s.grad for s in starts] + [p.grad.clone() for p in model.parameters()]


class SameAsTorch(unittest.TestCase):
    def close(self, ours, theirs):
        self.assertEqual(len(ours), len(theirs))
        for a, b in zip(ours, theirs):
            self.assertEqual(a.shape, b.shape)
            self.assertLess((a - b).abs().max().item(), 1e-5)

    def test_outputs_and_gradients(self):
        for options in SIZES:
            for states in (True, False):
                with self.subTest(states=states, **options):
                    theirs, ours = pair(**options)
                    self.close(run(ours, *inputs(ours, states)), run(theirs, *inputs(theirs, states)))

    def test_without_a_batch(self):
        theirs, ours = pair(num_layers=2)
        x, h = torch.randn(T, I), torch.randn(2, H)
        for a, b in zip(ours(x, (h, h))[1], theirs(x, (h, h))[1]):
            self.close([a], [b])
        self.close([ours(x)[0]], [theirs(x)[0]])

    def test_in_evaluation_there_is_no_dropout(self):
        theirs, ours = pair(num_layers=2, dropout=0.9)
        x, _ = inputs(ours, False)
        self.close([ours.eval()(x)[0]], [theirs.eval()(x)[0]])

    def test_parameters_and_state_dict(self):
        for options in SIZES:
            theirs, ours = pair(**options)
            self.assertEqual(list(ours.state_dict()), list(theirs.state_dict()))
            for a, b in zip(ours.parameters(), theirs.parameters()):
                self.assertTrue(torch.equal(a, b))  # the same seed draws the same weights
            ours.load_state_dict(theirs.state_dict())
            theirs.load_state_dict(ours.state_dict())
        self.assertIsInstance(ours, torch.nn.LSTM)

    def test_backward_twice(self):
        _, ours = pair(num_layers=2)
        x, _ = inputs(ours, False)
        y = ours(x)[0].sum()
        y.backward(retain_graph=True)
        first, x.grad = x.grad, None
        y.backward()
        self.assertTrue(torch.equal(first, x.grad))

    def test_frozen_weights(self):
        theirs, ours = pair(num_layers=2)
        for model in (theirs, ours):
            model.weight_hh_l0.requires_grad_(False)
            model.bias_ih_l1.requires_grad_(False)
            model(inputs(model, False)[0].detach())[0].mean().backward()
        self.assertIsNone(ours.weight_hh_l0.grad)
        self.close([ours.weight_ih_l0.grad, ours.bias_hh_l1.grad], [theirs.weight_ih_l0.grad, theirs.bias_hh_l1.grad])

    def test_an_output_changed_in_place_is_noticed(self):
        _, ours = pair()
        y = ours(inputs(ours, False)[0])[0]
        y.mul_(2)
        with self.assertRaisesRegex(RuntimeError, "inplace"):
            y.sum().backward()

    def test_gradients_of_both_biases_are_two(self):
        _, ours = pair()
        ours(inputs(ours, False)[0])[0].sum().backward()
        self.assertNotEqual(ours.bias_ih_l0.grad.data_ptr(), ours.bias_hh_l0.grad.data_ptr())


class GruSameAsTorch(unittest.TestCase):
    close = SameAsTorch.close

    def test_outputs_and_gradients(self):
        for options in SIZES:
            for states in (True, False):
                with self.subTest(states=states, **options):
                    theirs, ours = pair(cell="GRU", **options)
                    self.assertEqual(list(ours.state_dict()), list(theirs.state_dict()))
                    self.close(run(ours, *inputs(ours, states)), run(theirs, *inputs(theirs, states)))
        self.assertIsInstance(ours, torch.nn.GRU)

    def test_without_a_batch_and_frozen(self):
        theirs, ours = pair(cell="GRU", num_layers=2)
        x, h = torch.randn(T, I), torch.randn(2, H)
        self.close(ours(x, h), theirs(x, h))
        for model in (theirs, ours):
            model.bias_hh_l0.requires_grad_(False)
            model(inputs(model, False)[0].detach())[0].mean().backward()
        self.assertIsNone(ours.bias_hh_l0.grad)
        self.close([ours.bias_ih_l0.grad, ours.weight_hh_l0.grad], [theirs.bias_ih_l0.grad, theirs.weight_hh_l0.grad])

    def test_sparse_is_dense_on_what_the_rule_left(self):
        for policy in ("threshold:1e-5", "energy:0.9,n=0.99", "stochastic:0.9", "density:0.1"):
            with self.subTest(policy=policy):
                _, ours = pair(policy, cell="GRU")
                for _ in range(2):
                    x, _ = inputs(ours, False)
                    y = ours(x)[0]
                    ours.zero_grad()
                    (y * y).mean().backward()
                rows = T * B
                kept = y.grad_fn.kept.tensor.double()
                g, hidden = (kept[at : at + rows * 3 * H].view(rows, 3 * H) for at in (0, rows * 3 * H))
                self.assertGreater((g == 0).double().mean().item(), 0.1)
                self.assertTrue(torch.equal(g[:, : 2 * H], hidden[:, : 2 * H]))  # r and z: the same to W and U
                before = torch.cat([torch.zeros(1, B, H), y[:-1].detach()]).view(rows, H).double()
                wanted = [
                    (x.grad, g @ ours.weight_ih_l0.double()),
                    (ours.weight_ih_l0.grad, g.t() @ x.detach().view(rows, I).double()),
                    (ours.weight_hh_l0.grad, hidden.t() @ before),
                    (ours.bias_ih_l0.grad, g.sum(0)),
                    (ours.bias_hh_l0.grad, hidden.sum(0)),
                ]
                for got, exact in wanted:
                    error = (got.view(exact.shape) - exact).abs().max() / exact.abs().max()
                    self.assertLess(error.item(), 1e-5)

    def test_a_policy_goes_on_where_it_was_saved_on_any_threads(self):
        _, ours = pair("stochastic:0.9", cell="GRU", num_layers=2, bidirectional=True)
        run(ours, *inputs(ours))
        other = gatesieve.GRU(I, H, 2, bidirectional=True, policy="dense", threads=2)
        other.load_state_dict(ours.state_dict())
        other.load_policy_state_dict(ours.policy_state_dict())
        for a, b in zip(run(ours, *inputs(ours)), run(other, *inputs(other))):
            self.assertTrue(torch.equal(a, b))
        self.assertEqual(list(ours.stats["layers"]), ["gru.l0", "gru.l0_reverse", "gru.l1", "gru.l1_reverse"])

    def test_refused(self):
        _, ours = pair(cell="GRU")
        with self.assertRaisesRegex(ValueError, "gatesieve.GRU: h_0 has shape"):
            ours(torch.randn(T, B, I), torch.zeros(1, B, 2))
        with self.assertRaisesRegex(ValueError, "gates r, z, n"):
            gatesieve.GRU(I, H, policy="energy:0.9,o=0.99")


class Dropping(unittest.TestCase):
    def test_sparse_is_dense_on_what_the_rule_left(self):
        for policy in ("threshold:1e-5", "threshold:3e-5,o=1e-9", "energy:0.9", "stochastic:0.9", "density:0.1"):
            with self.subTest(policy=policy):
                _, ours = pair(policy)
                for _ in range(2):  # a steered policy has seen something by the second
                    x, _ = inputs(ours, False)
                    y = ours(x)[0]
                    ours.zero_grad()
                    (y * y).mean().backward()
                g = y.grad_fn.kept.tensor[: T * B * 4 * H].view(T * B, 4 * H).double()  # after the rule
                zeros = (g == 0).double().mean().item()
                self.assertGreater(zeros, 0.1)
                self.assertLess(zeros, 0.999)
                before = torch.cat([torch.zeros(1, B, H), y[:-1].detach()]).view(T * B, H).double()
                wanted = [
                    (x.grad, g @ ours.weight_ih_l0.double()),
                    (ours.weight_ih_l0.grad, g.t() @ x.detach().view(T * B, I).double()),
                    (ours.weight_hh_l0.grad, g.t() @ before),
                    (ours.bias_ih_l0.grad, g.sum(0)),
                    (ours.bias_hh_l0.grad, g.sum(0)),
                ]
                for got, exact in wanted:
                    error = (got.view(exact.shape) - exact).abs().max() / exact.abs().max()
                    self.assertLess(error.item(), 1e-5)

    def test_a_threshold_of_nothing_is_dense(self):
        _, dense = pair()
        _, ours = pair("threshold:0")
        for a, b in zip(run(ours, *inputs(ours)), run(dense, *inputs(dense))):
            self.assertLess((a - b).abs().max().item(), 1e-6)

    def test_stats(self):
        _, ours = pair("density:0.25,o=0.5", num_layers=2)
        x, _ = inputs(ours, False)
        for step in range(3):
            ours(x)[0].pow(2).mean().backward()
            if step == 0:
                self.assertLess(ours.stats["sparsity"], 0.01)  # nothing was seen before the first
                ours.reset_stats()
        stats = ours.stats
        self.assertEqual(list(stats["layers"]), ["lstm.l0", "lstm.l1"])
        for layer in stats["layers"].values():
            # tau comes from the pass before, which had other gradients
            self.assertAlmostEqual(layer["gates"]["i"]["sparsity"], 0.75, delta=0.1)
            self.assertAlmostEqual(layer["gates"]["o"]["sparsity"], 0.5, delta=0.1)
        self.assertAlmostEqual(stats["dropped"] + stats["natural_zeros"], stats["sparsity"])
        dense = 2 * 4 * H * ((T - 1) * B * H * 2 + T * B * (2 * I + 4 * H))  # dh; of both dU, dW and dx
        self.assertEqual(stats["macs_dense"], dense)
        self.assertAlmostEqual(stats["macs_skipped_share"], stats["sparsity"], delta=0.05)
        ours.reset_stats()
        self.assertEqual(ours.stats["macs_dense"], 0)

    def test_a_policy_goes_on_where_it_was_saved(self):
        _, ours = pair("stochastic:0.9", num_layers=2)
        step = lambda model: run(model, *inputs(model))
        step(ours), step(ours)
        torch.manual_seed(9)
        other = gatesieve.LSTM(I, H, 2, policy="dense", seed=5)
        other.load_state_dict(ours.state_dict())
        other.load_policy_state_dict(ours.policy_state_dict())
        for a, b in zip(step(ours), step(other)):
            self.assertTrue(torch.equal(a, b))

    def test_threads_do_not_change_bits(self):
        results = []
        for threads in (1, 2):
            _, ours = pair("energy:0.9")
            ours.threads = threads
            run(ours, *inputs(ours))
            results.append(run(ours, *inputs(ours)))
        for a, b in zip(*results):
            self.assertTrue(torch.equal(a, b))

    def test_one_hot_input_is_looked_up_with_the_same_bits(self):
        x = torch.nn.functional.one_hot(torch.arange(T * B).view(T, B) * 5 % I, I).float()
        for cell in ("LSTM", "GRU"):
            theirs, ours = pair(cell=cell)
            looked_up = ours(x)[0]
            self.assertLess((looked_up - theirs(x)[0]).abs().max().item(), 1e-5)
            for spoil in (lambda row: row.mul_(2), lambda row: row.zero_(), lambda row: row.fill_(1)):
                other = x.clone()
                spoil(other[-1, -1])  # all of it runs as a product then
                self.assertTrue(torch.equal(ours(other)[0][:-1], looked_up[:-1]))
                self.assertFalse(torch.equal(ours(other)[0][-1, -1], looked_up[-1, -1]))

    def test_buffers_are_used_again(self):
        _, ours = pair("energy:0.99", num_layers=2)
        addresses = set()
        for _ in range(5):
            run(ours, *inputs(ours))
            addresses.update(kept.data_ptr() for site in ours._sites for kept in site.spare)
        self.assertEqual(len(addresses), 2)

    def test_copies_and_files(self):
        _, ours = pair("energy:0.9", num_layers=2)
        run(ours, *inputs(ours))
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        wanted = run(ours, *inputs(ours))
        for other in (copy.deepcopy(ours), torch.load(file)):
            self.assertEqual(other.policy, "energy:0.9")
        # `ours` has gone a step further than the file
        for a, b in zip(run(torch.load(io.BytesIO(file.getvalue())), *inputs(ours)), wanted):
            self.assertTrue(torch.equal(a, b))


class Training(unittest.TestCase):
    def test_a_character_model_learns(self):
        text = "the gates of the sieve keep what matters and drop the rest. " * 60
        letters = sorted(set(text))
        data = torch.tensor([letters.index(letter) for letter in text])
        lanes = data[: len(data) // 10 * 10].view(10, -1).t()  # (time, 10)
        losses = {}
        for policy in ("torch", "dense", "energy:0.99"):
            torch.manual_seed(4)
            rest = dict(input_size=len(letters), hidden_size=48, num_layers=2)
            lstm = torch.nn.LSTM(**rest) if policy == "torch" else gatesieve.LSTM(**rest, policy=policy)
            head = torch.nn.Linear(48, len(letters))
            optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=1e-2)
            hx, losses[policy] = None, []
            for step in range(80):
                at = step * 20 % (len(lanes) - 21)
                x = torch.nn.functional.one_hot(lanes[at : at + 20], len(letters)).float()
                y, hx = lstm(x, hx)
                hx = tuple(s.detach() for s in hx)
                loss = torch.nn.functional.cross_entropy(head(y).flatten(0, 1), lanes[at + 1 : at + 21].flatten())
                optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(lstm.parameters(), 5)
                optimizer.step()
                losses[policy].append(loss.item())
        self.assertLess(losses["torch"][-1], 0.5 * losses["torch"][0])
        self.assertAlmostEqual(losses["dense"][10], losses["torch"][10], delta=1e-3)
        self.assertLess(losses["energy:0.99"][-1], 1.2 * losses["torch"][-1])
        self.assertGreater(lstm.stats["dropped"], 0.2)


class Refused(unittest.TestCase):
    def test_what_it_is_not(self):
        _, ours = pair()
        packed = torch.nn.utils.rnn.pack_padded_sequence(torch.randn(T, B, I), [T] * B)
        cases = [
            (TypeError, "PackedSequence", lambda: ours(packed)),
            (TypeError, "torch.float64", lambda: ours(torch.randn(T, B, I).double())),
            (TypeError, "weight_ih_l0", lambda: copy.deepcopy(ours).double()(torch.randn(T, B, I))),
            (ValueError, "7 features", lambda: ours(torch.randn(T, B, I + 1))),
            (ValueError, "h_0 has shape", lambda: ours(torch.randn(T, B, I), (torch.zeros(1, B, 2), torch.zeros(1, B, H)))),
            (ValueError, "proj_size", lambda: gatesieve.LSTM(I, H, proj_size=3)),
            (ValueError, "threads", lambda: gatesieve.LSTM(I, H, threads=99)(torch.randn(T, B, I))),
            (ValueError, "dense, threshold", lambda: gatesieve.LSTM(I, H, policy="energie:0.9")),
            (ValueError, "RHO must be a number from 0 to 1", lambda: gatesieve.LSTM(I, H, policy="energy:99")),
            (ValueError, "takes no argument", lambda: gatesieve.LSTM(I, H, policy="dense:1")),
            (ValueError, "not understood", lambda: gatesieve.LSTM(I, H, policy="energy:0.9,paths=dh")),
        ]
        for error, text, call in cases:
            with self.subTest(text), self.assertRaisesRegex(error, text):
                call()


if __name__ == "__main__":
    unittest.main()

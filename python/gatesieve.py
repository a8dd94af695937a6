"""torch.nn.LSTM and torch.nn.GRU with a backward pass that skips the gate gradients that do not matter.

    import gatesieve
    lstm = gatesieve.LSTM(65, 512, 2, policy="stochastic:0.98")     # instead of torch.nn.LSTM(65, 512, 2)
    gru = gatesieve.GRU(65, 512, 2, policy="stochastic:0.98")       # instead of torch.nn.GRU(65, 512, 2)

The same arguments, parameters, state_dict, outputs and, with policy="dense", gradients. Forward and backward run on
Gatesieve's native kernels through their C interface (native/capi.h); this file is all there is to install, beside the
library that `node scripts/build-native.mjs` makes. CPU, float32. docs/pytorch.md says what it is and what it is not.

    layer      one direction of one layer: a site, where gate gradients pass
    policy     turns statistics of earlier backward passes into a rule, one tau for each gate
    rule       what one backward pass drops: keep, threshold, stochastic
"""

import ctypes
import os
import platform
import sys
import threading

import torch
from torch.autograd.function import once_differentiable

__all__ = ["LSTM", "GRU", "DEFAULT_POLICY", "POLICIES", "isas"]

DEFAULT_POLICY = "stochastic:0.98"

# ---- the library

_ABI = 2
_KEEP, _THRESHOLD, _STOCHASTIC = 0, 1, 2
_TOTAL, _NATURAL_ZEROS, _KEPT, _SQUARES, _KEPT_SQUARES = range(5)
_BINS = 1024
_OK, _NO_MEMORY = 0, 1
_PRODUCTS = ("dh", "dx", "dW", "dU")

_Pointer = ctypes.c_void_p
_Counts = ctypes.c_double * len(_PRODUCTS)


class _Lstm(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("T", "B", "I", "H")] + [
        (name, _Pointer) for name in ("x", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "c0", "h", "kept", "cn")
    ]


class _Backward(ctypes.Structure):
    _fields_ = (
        [(name, _Pointer) for name in ("dy", "dhn", "dcn", "dx", "dw_ih", "dw_hh", "db", "dh0", "dc0")]
        + [("rule", ctypes.c_int64), ("tau", ctypes.c_float * 4), ("key", ctypes.c_uint32)]
        + [("sums", _Pointer), ("histogram", _Pointer)]
        + [(name, _Counts) for name in ("dense", "skipped", "executed")]
    )


class _Gru(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in ("T", "B", "I", "H")] + [
        (name, _Pointer) for name in ("x", "w_ih", "w_hh", "b_ih", "b_hh", "h0", "h", "kept")
    ]


class _GruBackward(ctypes.Structure):
    _fields_ = (
        [(name, _Pointer) for name in ("dy", "dhn", "dx", "dw_ih", "dw_hh", "db_ih", "db_hh", "dh0")]
        + [("rule", ctypes.c_int64), ("tau", ctypes.c_float * 3), ("key", ctypes.c_uint32)]
        + [("sums", _Pointer), ("histogram", _Pointer)]
        + [(name, _Counts) for name in ("dense", "skipped", "executed")]
    )


def _library_path():
    named = os.environ.get("GATESIEVE_LIBRARY")
    if named:
        return named
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower(), platform.machine())
    name = "libgatesieve-%s-%s.%s" % (sys.platform, machine, "dylib" if sys.platform == "darwin" else "so")
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.path.join(here, name), os.path.join(here, "..", "build", "native", name)]
    for place in places:
        if os.path.exists(place):
            return place
    raise ImportError(
        "gatesieve: there is no %s beside this file nor in ../build/native. Build it with: node scripts/build-native.mjs, "
        "or name it in GATESIEVE_LIBRARY." % name
    )


def _load():
    path = _library_path()
    library = ctypes.CDLL(path)
    library.gatesieve_abi.restype = ctypes.c_int32
    if library.gatesieve_abi() != _ABI:
        raise ImportError(
            "gatesieve: %s has interface %d, and this file is written for %d. Take both from one version."
            % (path, library.gatesieve_abi(), _ABI)
        )
    library.gatesieve_isas.restype = ctypes.c_char_p
    library.gatesieve_open.restype = _Pointer
    library.gatesieve_open.argtypes = [ctypes.c_int32, ctypes.c_char_p]
    library.gatesieve_close.restype = None
    library.gatesieve_close.argtypes = [_Pointer]
    library.gatesieve_lstm_kept.restype = ctypes.c_int64
    library.gatesieve_lstm_kept.argtypes = [ctypes.c_int64] * 3
    library.gatesieve_lstm_forward.argtypes = [_Pointer, ctypes.POINTER(_Lstm)]
    library.gatesieve_lstm_backward.argtypes = [_Pointer, ctypes.POINTER(_Lstm), ctypes.POINTER(_Backward)]
    library.gatesieve_gru_kept.restype = ctypes.c_int64
    library.gatesieve_gru_kept.argtypes = [ctypes.c_int64] * 3
    library.gatesieve_gru_forward.argtypes = [_Pointer, ctypes.POINTER(_Gru)]
    library.gatesieve_gru_backward.argtypes = [_Pointer, ctypes.POINTER(_Gru), ctypes.POINTER(_GruBackward)]
    return library


_library = _load()


def isas():
    """Instruction sets this processor runs, best first. GATESIEVE_ISA chooses another than the first."""
    return _library.gatesieve_isas().decode().split(",")


class _Team:
    """Threads and the memory they work in; serves one call at a time."""

    def __init__(self, threads, isa):
        if isa and isa not in isas():
            raise ValueError("GATESIEVE_ISA is %r; this processor runs %s" % (isa, ", ".join(isas())))
        self.handle = _library.gatesieve_open(threads, isa.encode() if isa else None)
        if not self.handle:
            raise ValueError("gatesieve: no team of %r threads could be made; give 1 to 64" % threads)
        self.close = _library.gatesieve_close  # when Python ends, names of this module may be gone before

    def __del__(self):
        if getattr(self, "handle", None):
            self.close(self.handle)


_teams = threading.local()


def _team(threads):
    """This Python thread's team of so many threads."""
    teams = _teams.__dict__
    name = str(threads)
    if name not in teams:
        teams[name] = _Team(threads, os.environ.get("GATESIEVE_ISA"))
    return teams[name].handle


def _check(status):
    if status == _OK:
        return
    if status == _NO_MEMORY:
        raise MemoryError("gatesieve: the kernels' workspace does not fit in memory")
    raise ValueError("gatesieve: the kernels refuse these shapes: T, B, inputs and hidden must be positive, T B gates H < 2^32")


def _address(tensor):
    return None if tensor is None else tensor.data_ptr()


# ---- policies: src/sparse/policies/*.ts, to the same bits

_MOMENTUM = 0.9  # weight of the past in the moving average of tau
_FINITE_BINS = 1020  # exponent 255: infinities and NaN
_EDGES = (torch.arange(_FINITE_BINS + 1, dtype=torch.int32) << 21).view(torch.float32).double()
_EDGES[_FINITE_BINS] = float("inf")
_LOW, _HIGH = _EDGES[:-1], torch.cat([_EDGES[1:-1], torch.tensor([2.0**128], dtype=torch.float64)])
_MEAN_SQUARES = (_LOW * _LOW + _LOW * _HIGH + _HIGH * _HIGH) / 3  # of x^2 for x uniform in a bin
_ONES = torch.ones(_FINITE_BINS, dtype=torch.float64)


def _bin_quantile(histogram, dropped, weights):
    """For each gate the value below which a share of what its histogram counts lies; NaN where it counts nothing."""
    mass = histogram[:, :_FINITE_BINS].double() * weights
    sums = mass.cumsum(1)
    total = sums[:, -1]
    wanted = dropped * total
    hit = (sums >= wanted[:, None]) & (mass > 0)
    at = hit.to(torch.int8).argmax(1)
    here = mass.gather(1, at[:, None])[:, 0]
    below = torch.where(at > 0, sums.gather(1, (at - 1).clamp(min=0)[:, None])[:, 0], torch.zeros_like(total))
    tau = _LOW[at] + (wanted - below) / here * (_EDGES[at + 1] - _LOW[at])
    return torch.where((total > 0) & hit.any(1), tau, torch.full_like(tau, float("nan")))


def _energy_tau(sums, histogram, budgets):
    dropped = 1 - budgets
    tau = _bin_quantile(histogram, dropped, _MEAN_SQUARES)
    return torch.where(dropped == 0, torch.zeros_like(tau), tau)


def _density_tau(sums, histogram, budgets):
    dropped = 1 - budgets
    tau = _bin_quantile(histogram, dropped, _ONES)
    # Exact zeros fall into bin 0 together with the smallest denormals; the exact count says where they end.
    zeros = (sums[:, _NATURAL_ZEROS] >= dropped * sums[:, _TOTAL]) & ~tau.isnan()
    return torch.where(zeros, torch.zeros_like(tau), tau)


class _Entry:
    """A line of the table of policies: rule, what steers tau, and the argument (name, default, most)."""

    def __init__(self, rule, tau_of=None, argument=None):
        self.rule, self.tau_of, self.argument = rule, tau_of, argument


POLICIES = {
    "dense": _Entry(_KEEP),
    "threshold": _Entry(_THRESHOLD, None, ("TAU", 1e-6, sys.float_info.max)),
    "density": _Entry(_THRESHOLD, _density_tau, ("P", 0.1, 1)),
    "energy": _Entry(_THRESHOLD, _energy_tau, ("RHO", 0.99, 1)),
    "stochastic": _Entry(_STOCHASTIC, _energy_tau, ("RHO", 0.95, 1)),
}


def _parse(text, letters):
    """"energy:0.99,o=0.999" to (entry, a budget for each gate of `letters`)."""
    name, colon, rest = text.partition(":")
    name = name.strip()
    if name not in POLICIES:
        raise ValueError(
            "policy %r: the policies of this file are %s, as in %r. Gatesieve itself has more."
            % (text, ", ".join(POLICIES), DEFAULT_POLICY)
        )
    entry = POLICIES[name]
    if entry.argument is None:
        if colon:
            raise ValueError("policy %r: %s takes no argument; write %r" % (text, name, name))
        return entry, [0.0] * len(letters)
    label, usual, most = entry.argument
    budget, gates = usual, {}
    for at, item in enumerate(rest.split(",") if colon else []):
        gate, equals, value = item.partition("=")
        gate = gate.strip() if equals else None
        if (gate is None and at > 0) or (gate is not None and (len(gate) != 1 or gate not in letters or gate in gates)):
            raise ValueError(
                "policy %r: %r is not understood; write %s:%s, or with a gate of its own %s:%s,%s=%s (gates %s)"
                % (text, item, name, label, name, usual, letters[-1], usual, ", ".join(letters))
            )
        try:
            number = float(value if equals else item)
        except ValueError:
            number = float("nan")
        if not 0 <= number <= most:
            raise ValueError("policy %r: %s must be a number from 0 to %g, as in %s:%g" % (text, label, most, name, usual))
        if gate is None:
            budget = number
        else:
            gates[gate] = number
    return entry, [gates.get(gate, budget) for gate in letters]


def _mix(x):
    x ^= x >> 16
    x = x * 0x21F0AAAD & 0xFFFFFFFF
    x ^= x >> 15
    x = x * 0x735A2D97 & 0xFFFFFFFF
    return x ^ x >> 15


def _stream_key(seed, name, counter):
    """src/core/random.ts: a key for the draws of (seed, name, counter)."""
    hashed = 0x811C9DC5 ^ (seed & 0xFFFFFFFF)
    for letter in name:
        hashed = ((hashed ^ ord(letter)) * 0x01000193) & 0xFFFFFFFF
    return _mix((_mix(hashed) + counter * 0x85EBCA6B) & 0xFFFFFFFF)


class _Site:
    """Where the gate gradients of one layer and direction pass: its policy's state, its statistics, spare buffers."""

    def __init__(self, name, seed, gates):
        self.name, self.seed, self.gates = name, seed, gates  # how many
        self.step = 0  # backward passes seen
        self.sums = torch.zeros(gates, 5, dtype=torch.float64)
        self.histogram = torch.zeros(gates, _BINS, dtype=torch.int32)
        self.spare = []
        self.clear()

    def set_policy(self, entry, budgets):
        self.entry = entry
        self.budgets = torch.tensor(budgets, dtype=torch.float64)
        steered = entry.tau_of is not None
        self.seen = [entry.rule == _THRESHOLD and not steered] * self.gates
        # -1 drops nothing: a gate of which nothing was seen yet, or nothing but zeros.
        self.tau = list(budgets) if self.seen[0] else [-1.0] * self.gates

    def plan(self, backward):
        backward.rule = self.entry.rule if any(self.seen) else _KEEP
        backward.tau[:] = self.tau
        if backward.rule == _STOCHASTIC:
            backward.key = _stream_key(self.seed, "policy." + self.name, self.step)

    def learn(self, backward):
        self.step += 1
        if self.entry.tau_of is not None:
            wanted = self.entry.tau_of(self.sums, self.histogram, self.budgets).tolist()
            for gate, tau in enumerate(wanted):
                if not abs(tau) < float("inf"):
                    continue
                self.tau[gate] = _MOMENTUM * self.tau[gate] + (1 - _MOMENTUM) * tau if self.seen[gate] else tau
                self.seen[gate] = True
        self.totals += self.sums
        for key in self.macs:
            for product, count in zip(_PRODUCTS, getattr(backward, key)):
                self.macs[key][product] += count

    def clear(self):
        self.totals = torch.zeros(self.gates, 5, dtype=torch.float64)
        self.macs = {key: dict.fromkeys(_PRODUCTS, 0.0) for key in ("dense", "skipped", "executed")}

    def take(self, floats):
        """A buffer that goes back to `spare` when nothing refers to it any more."""
        while self.spare:
            tensor = self.spare.pop()
            if tensor.numel() == floats:
                return _Kept(tensor, self.spare)
        return _Kept(torch.empty(floats), self.spare)

    def __getstate__(self):
        return dict(self.__dict__, spare=[], entry=next(name for name, e in POLICIES.items() if e is self.entry))

    def __setstate__(self, state):
        self.__dict__.update(state, entry=POLICIES[state["entry"]])


class _Kept:
    """What a forward pass keeps for its backward pass."""

    def __init__(self, tensor, spare):
        self.tensor, self.spare, self.used = tensor, spare, False

    def __del__(self):
        self.spare.append(self.tensor)


# ---- one layer

class _Layer(torch.autograd.Function):
    """x (T, B, I), h0 and c0 (B, H) to h of all t (T, B, H), h and c of the last (B, H)."""

    @staticmethod
    def forward(ctx, x, h0, c0, w_ih, w_hh, b_ih, b_hh, site, threads):
        T, B, I = x.shape
        H = w_hh.shape[1]
        h = torch.empty(T + 1, B, H)  # block 0 is h0, so that h[t-1] of all t is one matrix
        y = h[1:].data  # no view of h to autograd, with a version of its own: a change in place is noticed
        cn = torch.empty(B, H)
        kept = site.take(_library.gatesieve_lstm_kept(T, B, H))
        layer = _Lstm(
            T, B, I, H, _address(x), _address(w_ih), _address(w_hh), _address(b_ih), _address(b_hh), _address(h0),
            _address(c0), _address(h), _address(kept.tensor), _address(cn),
        )
        _check(_library.gatesieve_lstm_forward(_team(threads), ctypes.byref(layer)))
        layer.cn = None  # forward may run again, and `cn` is the caller's by then
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, y)
        ctx.h, ctx.kept, ctx.layer, ctx.site, ctx.threads = h, kept, layer, site, threads
        return y, y[-1].clone(), cn

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, dhn, dcn):
        x, h0, c0, w_ih, w_hh, b_ih, b_hh, _ = ctx.saved_tensors  # raises where one was changed in place
        site, layer, team = ctx.site, ctx.layer, _team(ctx.threads)
        if ctx.kept.used:  # retain_graph: gate gradients have overwritten the activations
            _check(_library.gatesieve_lstm_forward(team, ctypes.byref(layer)))
        ctx.kept.used = True
        wanted = ctx.needs_input_grad
        dx, dh0, dc0, dw_ih, dw_hh = (
            torch.empty_like(tensor) if need else None for tensor, need in zip((x, h0, c0, w_ih, w_hh), wanted)
        )
        db = torch.empty(w_hh.shape[0]) if wanted[5] or wanted[6] else None
        given = [None if g is None else g.contiguous() for g in (dy, dhn, dcn)]
        pass_ = _Backward(
            *(_address(g) for g in given),
            *(_address(g) for g in (dx, dw_ih, dw_hh, db, dh0, dc0)),
            sums=_address(site.sums), histogram=_address(site.histogram),
        )
        site.plan(pass_)
        _check(_library.gatesieve_lstm_backward(team, ctypes.byref(layer), ctypes.byref(pass_)))
        site.learn(pass_)
        db_ih, db_hh = (db if wanted[5] else None), (db if wanted[6] else None)
        if db_ih is not None and db_hh is not None:
            db_hh = db.clone()  # two gradients: clipping in place would else meet one twice
        return dx, dh0, dc0, dw_ih, dw_hh, db_ih, db_hh, None, None


class _GruLayer(torch.autograd.Function):
    """x (T, B, I), h0 (B, H) to h of all t (T, B, H), h of the last (B, H)."""

    @staticmethod
    def forward(ctx, x, h0, w_ih, w_hh, b_ih, b_hh, site, threads):
        T, B, I = x.shape
        H = w_hh.shape[1]
        h = torch.empty(T + 1, B, H)  # as _Layer's
        y = h[1:].data
        kept = site.take(_library.gatesieve_gru_kept(T, B, H))
        layer = _Gru(
            T, B, I, H, _address(x), _address(w_ih), _address(w_hh), _address(b_ih), _address(b_hh), _address(h0),
            _address(h), _address(kept.tensor),
        )
        _check(_library.gatesieve_gru_forward(_team(threads), ctypes.byref(layer)))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, h0, w_ih, w_hh, b_ih, b_hh, y)
        ctx.h, ctx.kept, ctx.layer, ctx.site, ctx.threads = h, kept, layer, site, threads
        return y, y[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, dy, dhn):
        x, h0, w_ih, w_hh, b_ih, b_hh, _ = ctx.saved_tensors  # raises where one was changed in place
        site, layer, team = ctx.site, ctx.layer, _team(ctx.threads)
        if ctx.kept.used:  # retain_graph: gate gradients have overwritten the activations
            _check(_library.gatesieve_gru_forward(team, ctypes.byref(layer)))
        ctx.kept.used = True
        dx, dh0, dw_ih, dw_hh, db_ih, db_hh = (
            torch.empty_like(tensor) if need else None
            for tensor, need in zip((x, h0, w_ih, w_hh, b_ih, b_hh), ctx.needs_input_grad)
        )
        given = [None if g is None else g.contiguous() for g in (dy, dhn)]
        pass_ = _GruBackward(
            *(_address(g) for g in given),
            *(_address(g) for g in (dx, dw_ih, dw_hh, db_ih, db_hh, dh0)),
            sums=_address(site.sums), histogram=_address(site.histogram),
        )
        site.plan(pass_)
        _check(_library.gatesieve_gru_backward(team, ctypes.byref(layer), ctypes.byref(pass_)))
        site.learn(pass_)
        return dx, dh0, dw_ih, dw_hh, db_ih, db_hh, None, None


class _Dropping:
    """What LSTM and GRU share: a policy, what it saw, and the way through layers and directions."""

    @property
    def policy(self):
        return self._policy

    @policy.setter
    def policy(self, text):
        entry, budgets = _parse(text, self._gates)
        self._policy = text
        for site in self._sites:
            site.set_policy(entry, budgets)

    def extra_repr(self):
        return "%s, policy=%r" % (super().extra_repr(), self._policy)

    def _apply(self, fn):
        super()._apply(fn)
        self.flatten_parameters()
        return self

    def flatten_parameters(self):
        """Nothing to do: weights are packed anew at each forward pass."""

    def _begin(self, input_size, hidden_size, num_layers, bidirectional, policy, threads, seed):
        self.threads, self.seed = threads, seed
        suffixes = ["", "_reverse"] if bidirectional else [""]
        names = ["%s.l%d%s" % (self._cell, layer, suffix) for layer in range(num_layers) for suffix in suffixes]
        self._sites = [_Site(name, seed, len(self._gates)) for name in names]
        self.policy = policy

    def _run(self, input, hx):
        """y, and what each state ended with; hx: (h0,), (h0, c0) or None."""
        name = "gatesieve." + type(self).__name__
        if isinstance(input, torch.nn.utils.rnn.PackedSequence):
            raise TypeError("%s takes tensors, not a PackedSequence: pad the batch, and mask the loss" % name)
        batched = input.dim() == 3
        if input.dim() not in (2, 3) or input.shape[-1] != self.input_size:
            raise ValueError(
                "%s: the input has shape %s; give %s with %d features"
                % (name, tuple(input.shape), "(N, T, I)" if self.batch_first else "(T, N, I)", self.input_size)
            )
        for what, tensor in [("input", input), ("weight_ih_l0", self.weight_ih_l0)]:
            if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
                raise TypeError(
                    "%s computes in float32 on the CPU, and %s is %s on %s: convert it, or use torch.nn.%s"
                    % (name, what, tensor.dtype, tensor.device, type(self).__name__)
                )
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        starts = self._states(name, hx, x, batched)
        threads = self.threads or torch.get_num_threads()
        directions = 2 if self.bidirectional else 1
        ends = [[] for _ in starts]
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(directions):
                at = layer * directions + direction
                y, *last = self._direction(x, starts, at, direction == 1, threads)
                outputs.append(y)
                for end, state in zip(ends, last):
                    end.append(state)
            x = outputs[0] if directions == 1 else torch.cat(outputs, 2)
            if self.dropout and self.training and layer + 1 < self.num_layers:
                x = torch.nn.functional.dropout(x, self.dropout)
        y, ends = x, [torch.stack(end) for end in ends]
        if not batched:
            return y.squeeze(1), [end.squeeze(1) for end in ends]
        return y.transpose(0, 1) if self.batch_first else y, ends

    def _direction(self, x, starts, at, backwards, threads):
        weights = self.all_weights[at]
        if backwards:
            x = x.flip(0)
        state = [s[at].contiguous() if s is not None else None for s in starts]
        biases = weights[2:] if self.bias else [None, None]
        y, *last = self._layer.apply(x.contiguous(), *state, *weights[:2], *biases, self._sites[at], threads)
        return (y.flip(0) if backwards else y, *last)

    def _states(self, name, hx, x, batched):
        if hx is None:
            return [None] * self._state_count
        wanted = (len(self._sites), x.shape[1], self.hidden_size)
        states = []
        for which, state in zip(("h_0", "c_0"), hx):
            state = state if batched else state.unsqueeze(1)
            if tuple(state.shape) != wanted or state.dtype != torch.float32:
                raise ValueError(
                    "%s: %s has shape %s and type %s; give %s of torch.float32"
                    % (name, which, tuple(state.shape), state.dtype, wanted if batched else wanted[::2])
                )
            states.append(state)
        return states

    @property
    def stats(self):
        """What was dropped since the last reset_stats(), over all backward passes: plain numbers, for all layers
        together, and by layer and gate.

        sparsity      exact zeros after the rule / all gate gradients
        natural_zeros exact zeros before the rule / all
        dropped       sparsity - natural_zeros: what the rule added
        energy        squares kept / squares before the rule
        macs_*        multiply-accumulates of the backward products: what a dense trainer must do, those that the
                      zeros made redundant, those done; macs_skipped_share is the second over the first
        """
        layers = {}
        for site in self._sites:
            gates = {gate: _shares(site.totals[at]) for at, gate in enumerate(self._gates)}
            layers[site.name] = dict(_shares(site.totals.sum(0)), **_macs([site]), gates=gates)
        total = torch.stack([site.totals for site in self._sites]).sum((0, 1))
        return dict(_shares(total), **_macs(self._sites), layers=layers)

    def reset_stats(self):
        for site in self._sites:
            site.clear()

    def policy_state_dict(self):
        sites = {site.name: {"tau": list(site.tau), "seen": list(site.seen), "step": site.step} for site in self._sites}
        return {"policy": self._policy, "seed": self.seed, "sites": sites}

    def load_policy_state_dict(self, state):
        names = [site.name for site in self._sites]
        if sorted(state["sites"]) != sorted(names):
            raise ValueError("this state is of the sites %s, and the layer has %s" % (sorted(state["sites"]), names))
        self.policy, self.seed = state["policy"], state["seed"]
        for site in self._sites:
            saved = state["sites"][site.name]
            site.seed, site.tau, site.seen, site.step = self.seed, list(saved["tau"]), list(saved["seen"]), saved["step"]


class LSTM(_Dropping, torch.nn.LSTM):
    """torch.nn.LSTM, with a policy for the gate gradients of the backward pass.

    policy    what is dropped: "dense", "threshold:1e-6", "density:0.1", "energy:0.99", "stochastic:0.95"; a gate may
              have a value of its own, as in "energy:0.99,o=0.999". Can be set at any time: layer.policy = "dense".
    threads   of the kernels, by default torch.get_num_threads()
    seed      of a stochastic policy's draws

    `layer.stats` tells what was dropped. The policy's state is not in state_dict, whose names are those of
    torch.nn.LSTM; policy_state_dict() and load_policy_state_dict() carry it, for runs that are to go on bit for bit.
    """

    _cell, _gates, _state_count, _layer = "lstm", "ifgo", 2, _Layer

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        proj_size=0, device=None, dtype=None, *, policy=DEFAULT_POLICY, threads=None, seed=0,
    ):
        if proj_size:
            raise ValueError("gatesieve.LSTM has no projections: proj_size is %r, give 0" % proj_size)
        super().__init__(
            input_size, hidden_size, num_layers, bias=bias, batch_first=batch_first, dropout=dropout,
            bidirectional=bidirectional, device=device, dtype=dtype,
        )
        self._begin(input_size, hidden_size, num_layers, bidirectional, policy, threads, seed)

    def forward(self, input, hx=None):
        y, (hn, cn) = self._run(input, hx)
        return y, (hn, cn)


class GRU(_Dropping, torch.nn.GRU):
    """torch.nn.GRU, with a policy for the gate gradients of the backward pass: as LSTM, gates r, z, n."""

    _cell, _gates, _state_count, _layer = "gru", "rzn", 1, _GruLayer

    def __init__(
        self, input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False,
        device=None, dtype=None, *, policy=DEFAULT_POLICY, threads=None, seed=0,
    ):
        super().__init__(
            input_size, hidden_size, num_layers, bias=bias, batch_first=batch_first, dropout=dropout,
            bidirectional=bidirectional, device=device, dtype=dtype,
        )
        self._begin(input_size, hidden_size, num_layers, bidirectional, policy, threads, seed)

    def forward(self, input, hx=None):
        y, (hn,) = self._run(input, None if hx is None else (hx,))
        return y, hn


def _shares(sums):
    total, zeros, kept, squares, kept_squares = sums.tolist()
    return {
        "sparsity": 1 - kept / total if total else 0.0,
        "natural_zeros": zeros / total if total else 0.0,
        "dropped": (total - kept - zeros) / total if total else 0.0,
        "energy": kept_squares / squares if squares > 0 else 1.0,
    }


def _macs(sites):
    sums = {"macs_" + key: int(sum(sum(site.macs[key].values()) for site in sites)) for key in sites[0].macs}
    return dict(sums, macs_skipped_share=sums["macs_skipped"] / (sums["macs_dense"] or 1))
